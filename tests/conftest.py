"""Settings that all tests share."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported; no test asks the network

import torch

torch.set_num_threads(1)  # tiny models are faster on one thread, and the tests run side by side
