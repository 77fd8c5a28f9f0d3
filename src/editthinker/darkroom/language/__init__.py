"""The darkroom's English: how people ask for edits, and what they mean.

In: a random generator and a split ("train", "validation" or "test"). Out: an instruction with the program it
means (`sentences.draw`), and the plain words in which the editor is best addressed (`phrases.plain`).
Knows programs, not pixels. Test phrasings and test looks never occur in training text.

To add a wording: one more line in `phrases.WORDINGS` (or `phrases.HELD_OUT`, never both).
To add a look: one more `Look` in `looks.LOOKS`.
"""
