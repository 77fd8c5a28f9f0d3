"""Bytes out, bytes in: what every adapter to a remote model shares.

In: where a server is, a reference to a key, what to send. Out: its answer, or an error of `core.errors` that
says in one sentence what is wrong and whether repeating may help. It knows no editor, thinker or judge.

    secrets       a key from the environment, a file or a keyring; it never reaches a message or a record
    connection    settings of a server, and a client per event loop that closes with it
    failures      status codes and lost connections as errors of ours, attributed and without secrets
    chat          images and words to any OpenAI-compatible multimodal endpoint, tokens and price counted
    pictures      a picture as base64, encoded once for all who are sent it
    prompting     prompts as texts with named places, filled in one pass; words of users quoted
    answers       one JSON object out of a model's words, checked, and its schema for guided decoding
    prices        a dated table of what models cost
    pool          several servers of one role used as one: who gets a call, who rests, when nobody is left
    pooled        an editor, thinker, judge or comparer that is a pool of its kind
    endpoint      one server of a pool: places for calls, and what is learned from them
    limiter       how many calls at a time one server is given
    health        whether a server may be called, how fast it is, when a call to it hangs

To add a provider with a library of its own: use `connection` for its settings and `failures` for its errors.
"""
