"""The life put together: one function a verb, called by the command line and by Python alike.

vocab           vocabulary.py
vocab extend    extension.py
doctor          doctor/
prepare         prepare.py; shards_under_way.py: what is written, what waits, and the checkpoint
masks           masks.py
pretrain        pretrain.py; recipe.py and *.toml: the settings; first_model.py: what it begins with; course.py: what
                each step takes; held_out.py: what is measured; pretraining_curves.py: the picture
adapt           adapting/
finetune        finetuning/
ladder          laddering/
evaluate        evaluate.py
predict, embed  bulk/: a whole file of rows or texts
inspect         inspection.py
report          report/
quickstart      quickstart.py; documentation.py: the text of a machine that has no other

run.py is the directory that every training leaves, tensorboard.py its event files, and resuming.py tells whether what
is to go on is what began. fill and tokenize need no recipe (inference/, tokens/); convert and parity are interchange/,
serve is serving/.
"""
