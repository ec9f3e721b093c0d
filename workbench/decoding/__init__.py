"""What a decoder is asked: scores of continuations, and generated text."""
