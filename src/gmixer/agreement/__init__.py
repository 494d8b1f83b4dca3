"""How far two predictors agree on the same images, such as one model in int8 and in fp32. No labels are needed.

compare.py    compare: images → a Compared for each, from one decoding
summary.py    summarise: many Compared → Agreement
plot.py       draws an Agreement with matplotlib

    int8, fp32 = gmixer.load(model, precision="int8"), gmixer.load(model)
    agreement = summarise(zip(paths, compare(int8, fp32, paths)))
    agreement.answers.same  # Share: how many images have the same answer, with its 95 % interval
"""

from gmixer.agreement.compare import Answers, Compared, compare
from gmixer.agreement.summary import Agreement, AnswersAgreement, summarise

__all__ = ["Agreement", "Answers", "AnswersAgreement", "Compared", "compare", "summarise"]
