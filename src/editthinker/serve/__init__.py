"""Ours behind HTTP: an editor as a service, for the other half of the loop on another machine.

In: objects that obey `core.contracts`, handed over by the command line. Out: an ASGI application that
speaks the OpenAI image-edit API and the paper's `/edit`. It builds nothing and knows no names; it listens
where it is told, 127.0.0.1 unless somebody decides otherwise.
"""
