"""What editing-by-thinking is, with no model, no network and no disk in it.

In: images, instructions, and objects that obey `contracts`. Out: turns and trajectories. It knows no model
by name, no folder and no bytes on a wire; nothing of ours is imported here.

    types, contracts, errors    the words, what is asked of others, how things fail
    images                      `Picture` and the door every image comes through
    reply                       the one grammar thinkers speak
    limits, selection           when to stop, which turn is delivered
    desk, strategies, episode   make one call by the rules; in which order; one sample played once
    events, records             what is told while it runs, what reaches disk

To add a strategy see `strategies`; to add an editor or a thinker implement `contracts`, outside this room.
"""
