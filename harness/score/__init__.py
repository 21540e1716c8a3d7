"""From recorded answers to figures, intervals and paired differences; the border to lmms-eval and to judges."""
