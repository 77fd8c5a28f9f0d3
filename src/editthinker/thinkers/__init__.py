"""Other people's thinkers, each bent to the one verb of `core.contracts.Thinker`, each a small file.

In: a `View` (source, edited image, instructions, earlier turns, facts about the editor). Out: a `Thought`,
or a `ThinkerError`; a reply that cannot be read is a `ReplyError`, which the loop sends back with its
reason, never a score. What they share: `prompts/`, our own texts, one per style, and the code that fills
and reads them. They know no editor and no loop.

    chat        any OpenAI-compatible multimodal endpoint
    expert      the same, as the paper's expert: a verdict, no score
    local       a vision-language model in this process
    ensemble    several thinkers vote
    human       the person at the terminal

To add a style: a text file in `prompts/` and a row where styles are listed. To add a thinker: a class with
`Settings`, made as `C(what_it_names, settings, name=...)`, and a row in `resolve.builtin.BUILTIN`.
"""
