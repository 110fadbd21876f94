"""What `finetune` is made of; finetune.py is the way in for one seed, several.py for more than that.

One fine-tuning, in the order in which it goes:

settings.py      what may be set, and which task looks at it
checks.py        what is wrong with the wish, found before anything is read
assembly.py      both files -> the task with its labels, and its rows
row_counts.py    rows, rows in several windows, tokens that no window holds: what is told and recorded of them
overlap.py       rows that stand in train and in dev
words_in_use.py  the model with the vectors of those pieces alone that the rows hold
identity.py      what makes it the one it is, so that only that one goes on
sitting.py       from where the run stands to its end: train, score, keep the best, write the model
dev_folder.py    the names of what lies under OUT/dev
dev_report.py    writes it: classes, errors, and with pictures.py (answers) and curve.py (the course) the pictures

Many that end in one model:

several.py       a search, several seeds, or a search and then seeds
search.py        which settings suit best: the paper's grid, one's own, or Optuna's samples
seeds.py         the same with several seeds: intervals, and the run in the middle is kept
series.py        the folder that their runs lie in, gone on with after a kill
"""
