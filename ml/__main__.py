"""python -m ml COMMAND: training, registry, metrics."""

import sys

from expectations.commands import run

# Command → module of the same name and one line of help.
COMMANDS = {
    "train": "train the network and its baselines as of a cutoff, log the runs, register the network",
    "factors": "factorise customers x products; judge what that is good for; keep the products' factors",
    "resolve": "print NAME/VERSION to score a day with: the version it was scored with, else the champion",
    "promote": "make a version the champion; also the way back to an earlier one",
    "compare": "fit every model on a public study and print one table of how good each is, with intervals",
    "metrics": "print the network's metrics beside its baselines'",
}

if __name__ == "__main__":
    sys.exit(run("ml", COMMANDS, sys.argv[1:]))
