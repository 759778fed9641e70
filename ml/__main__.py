"""python -m ml COMMAND: training, registry, metrics."""

import sys

from expectations.commands import run
from ml.home import shared_home

# Command → module of the same name and one line of help.
COMMANDS = {
    "train": "train models as of a cutoff, log a run each, register the best, promote it if it beats the champion",
    "factors": "factorise customers x products; judge what that is good for; keep the products' factors",
    "rank": "learn what a customer's next basket holds, product and category; judge it; keep the ranker",
    "risk": "learn from cases that the shop has marked as fraud, and say how good that is on newer ones",
    "cluster": "compare ways to cluster a day's customers by behaviour; print the table",
    "resolve": "print NAME/VERSION to score a day with: the version it was scored with, if it can, else the champion",
    "promote": "make a version the champion, whatever it was judged",
    "rollback": "make the version that was champion before the champion again",
    "due": "say whether a training is due, and why: labels, drift, outcomes",
    "cutoff": "print the newest cutoff whose labels have matured at the end of a day",
    "compare": "fit every model on a public study and print one table of how good each is, with intervals",
    "metrics": "print the champion's metrics beside those of the models it was chosen from",
}

if __name__ == "__main__":
    sys.exit(run("ml", COMMANDS, sys.argv[1:], shared_home))
