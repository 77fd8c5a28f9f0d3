"""What editing-by-thinking is, with no model, no network and no disk in it.

In: images, instructions, and objects that obey `contracts`. Out: turns and trajectories. It knows no model
by name, no folder and no bytes on a wire; nothing of ours is imported here.

    types, contracts, errors    the words, what is asked of others, how things fail
    images                      `Picture` and the door every image comes through
    reply                       the one grammar thinkers speak
    limits, selection           when to stop, which turn is delivered
    method, policies            how it is played; what follows a turn that did not satisfy
    calls, desk, candidates     one call by the rules; one verb for each; which of several images is kept
    past, clock                 what was answered before an interruption; seconds without waiting in line
    strategies, episode         in which order; one sample played once
    regions, pasteback, drift   where an edit belongs; the source's own pixels back elsewhere; shift and zoom
    settings, names             what can be set on a named model; names taken apart and written down
    batching                    one model in this process, many callers
    events, records, estimate   what is told while it runs, what reaches disk, what it may cost

To add a strategy see `strategies`, to add a policy `policies`; to add an editor or a thinker implement
`contracts`, outside this room.
"""
