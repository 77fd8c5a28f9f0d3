"""A run's models on other machines: Ray holds them, the runner stays where it is and stays as it is.

In: for each model that is to be held, a factory that builds it anywhere, how many workers, and where the
cluster is. Out: members for a pool (`wire.pool`), each of them one worker: an actor of Ray with one model in
a process of its own. It is handed factories and knows no name of a model; the ledger, budgets, retries and
resuming are the driver's alone, so nothing here has to be saved.

    address     the cluster: one that is there, or one of our own for this run
    shares      how many workers each model gets, and what each may use; pure
    worker      what runs in the actor: builds the model, answers calls
    parcels     requests and answers between processes; images as pixels, each sent to the store once
    faults      errors between processes, with everything our errors carry
    members     the contracts on the driver's side: a call here is a call there
    seat        one worker from its start through every loss to its end
    staff       all of them: started, waited for, taken into the pools, added when the cluster grows

A worker that dies costs the calls it had: they fail as errors that pass, and the pool asks another. It leaves
the pool at once and comes back when Ray has started it again. Ray is imported when a cluster is asked for.
"""

from __future__ import annotations

from editthinker.runs.cluster.address import connected
from editthinker.runs.cluster.shares import Asked
from editthinker.runs.cluster.staff import Post, Staff

__all__ = ["Asked", "Post", "Staff", "connected"]
