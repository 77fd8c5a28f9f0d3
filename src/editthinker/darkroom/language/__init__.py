"""The darkroom's English: how people ask for edits, and what they mean.

In: a random generator and a split. Out: an instruction with the program it means (`sentences.draw`), and the
plain words in which the editor is best addressed (`phrases.plain`). Knows programs, not pixels.

    train, validation    what the base editor reads
    more                 those words and further ones: what thinkers and the large editor read
    fresh                words that nobody learns from, for looking how well new ones are read
    test                 words and looks that nobody learns from nor looks at

To add a wording: a line in one list of `wordings.toml`; one more in `train` changes every editor.
To add a look: one more table in `looks.toml`.
"""
