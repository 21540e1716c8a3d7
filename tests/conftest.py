"""Settings that all tests share."""

import torch

torch.set_num_threads(1)  # tiny models are faster on one thread, and the tests run side by side
