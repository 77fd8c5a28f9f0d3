"""Other people's editors, each bent to the one verb of `core.contracts.Editor`, each a small file.

In: an `EditRequest`. Out: an `Edited` of the source's size, what it cost, and what the editor says it did;
or an `EditorError` or `Refused` with one sentence that says what to check. They know no thinker, no loop
and each other not at all; what they share is `delivery`: fitting a picture into the sizes a model takes and
back, and refusing pictures that are none.

To add one: a class with `Settings` (what can be set, described), made as `C(what_it_names, settings,
name=...)`; a row in `resolve.builtin.BUILTIN`; its name in the behaviour suite's list of implementations.
"""
