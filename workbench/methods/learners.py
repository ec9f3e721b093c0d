"""Names of the ways to learn a label for a text from labelled ones."""

FULL, LORA, BITFIT, HEAD = "full fine-tuning", "LoRA", "BitFit", "head only"
TFIDF, MAJORITY = "TF-IDF + logistic regression", "majority"
NEAREST, SETFIT = "nearest neighbours", "SetFit"
LEARNERS = (TFIDF, NEAREST, HEAD, SETFIT, BITFIT, LORA, FULL)
"""Those with curves, from the cheapest to the dearest."""
