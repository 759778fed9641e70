"""python -m jobs COMMAND: one command a job."""

import sys
from pathlib import Path

if not __package__:  # run as a file, as spark-submit does: imports start at the project, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from expectations.commands import run
from ml.home import shared_home

# Command → module of the same name and one line of help.
COMMANDS = {
    "setup": "create the home, its warehouse, roles, tables and views; safe to repeat",
    "land_sample": "land the sample shop (Complete Journey, simulated from real patterns) as daily files",
    "check_source": "try a source mapping on a shop's files: what maps to what, what would fail; --draft makes one",
    "land": "a shop's whole history → the daily files that its mapping expects",
    "simulate": "make a simulated shop with known truth: daily files to ingest, or events straight in the lake",
    "ingest": "landing files → lake/events; bad rows → quarantine",
    "quarantine": "what was refused on a day and why; --replay ingests it again",
    "validate": "Great Expectations gate on one table and day",
    "open_day": "whether the shop delivers on a day, for the DAG to branch on",
    "encode_text": "texts of events → vectors (once a text), sentiment and topic",
    "aggregate": "events → customer-day rows",
    "build_features": "customer-day rows → features as of a date",
    "build_sequences": "events → the last events of each customer as of a date, for training",
    "score": "features + a model version → lake/scores",
    "rank_items": "kept rankers → lake/next_items: what each customer is likeliest to buy next",
    "cluster": "features + embeddings → behaviour clusters whose ids persist",
    "map_clusters": "UMAP and t-SNE pictures of a day's clusters → reports/maps",
    "segment": "scores → value tier, lifecycle stage, churn band",
    "tag": "features + declared rules → each customer in words, with the evidence",
    "portray": "every tier, stage and cluster in words and numbers",
    "recommend": "purchases + segments → products to show each customer, and how good the lists are",
    "choose_actions": "segments + risk + the table of strategies → what to do next; --preview shows every rule's reach",
    "measure_outcomes": "cohort retention, predictions against what came, data quality, as of a date",
    "assess_risk": "events + features → who looks fraudulent, abusive or automated, and why",
    "watch_churn": "segments + the model that scored the day → who is about to leave, by money at stake, and why",
    "publish": "segments → warehouse: stage, audit, one transaction",
    "list_warnings": "the checks that warn on a day",
    "report": "a picture of the day: one self-contained HTML page",
    "export_audience": "customers chosen in SQL, with the shop's own ids → a CSV file; logged",
    "sql": "run one SQL statement on the warehouse as bi_reader and print a table",
    "warehouse_uri": "print the warehouse's libpq URI",
    "doctor": "check connections, versions, disk, clock and permissions, and say what to do",
    "rekey": "change the customer key, and every key made with it: lake, vault, warehouse",
    "backup": "warehouse, vault and MLflow → a folder that restore reads",
    "restore": "a folder that backup wrote → warehouse, vault and MLflow, checked as bi_reader",
    "summary": "print what the marts say: rows, tiers, stages, moves, model metrics",
    "run_shop": "the whole line: land, bootstrap, train, daily DAG runs, summary (what `make run` calls)",
    "maintain": "remove what no later day needs: old snapshots, leftovers, results, files of models, logs",
    "up": "start Airflow and the MLflow UI over the home",
    "down": "stop what `up` started",
}

if __name__ == "__main__":
    sys.exit(run("jobs", COMMANDS, sys.argv[1:], shared_home))
