"""How much the data of each benchmark are, as public file lists say; what none says stands in no line here."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.harness.tasks.videos import MVBENCH


@dataclass(frozen=True)
class Size:
    """What `winnow data fetch` downloads for one task alone.

    Attributes
    ----------
    gigabytes : float
        Of 10^9 bytes.
    revision : str
        Commit of the repository that the list is of, or a branch.
    source : str
        Which list, and what of it is counted. Organisations ``lmms-eval`` and ``lmms-lab-encoder`` hold the commits of
        ``lmms-lab``, where the lists were read.
    """

    gigabytes: float
    revision: str
    source: str


_LIST = "the file list of huggingface.co/datasets/"
_VIDEOMME = Size(101.1, "7bd3ab6", f"{_LIST}lmms-lab/Video-MME, four archives that were cut into 20 since")
_EGOSCHEMA = Size(105.7, "5835052", f"{_LIST}lmms-lab/egoschema, five archives")
_MOVIECHAT = Size(17.1, "d423060", f"{_LIST}Enxin/lmms_MovieChat_test")
_MVBENCH = Size(15.8, "video", f"{_LIST}OpenGVLab/MVBench (a776e55), all kinds together")
_POPE = Size(0.085, "92976c8", f"{_LIST}oplex/POPE, a copy of lmms-lab/POPE: a third of its folder Full")

SIZES: dict[str, Size] = {
    "videomme": _VIDEOMME,
    "videomme_w_subtitle": _VIDEOMME,
    **dict.fromkeys((f"mvbench_{kind}" for kind in MVBENCH), _MVBENCH),
    "egoschema_subset": _EGOSCHEMA,
    "egoschema": _EGOSCHEMA,
    "nextqa_mc_test": Size(6.49, "a0d7729", f"{_LIST}lmms-lab/NExTQA, without the open questions"),
    "perceptiontest_val_mc": Size(75.4, "c5e520d", f"{_LIST}lmms-eval/PerceptionTest_Val, without 35.5 GB of sound"),
    "longvideobench_val_v": Size(
        161.5, "main", "the file list of huggingface.co/buckets/weathon/LongVideoBench-bucket"
    ),
    "moviechat_global": _MOVIECHAT,
    "moviechat_breakpoint": _MOVIECHAT,
    "gqa": Size(0.068, "6ac3999", f"{_LIST}lmms-lab/GQA, questions and pictures of testdev_balanced"),
    "mme": Size(0.865, "0239381", f"{_LIST}lmms-lab/MME"),
    "textvqa_val": Size(0.92, "3f6e5db", f"{_LIST}lmms-lab/textvqa, validation"),
    "scienceqa_img": Size(0.13, "df59f11", f"{_LIST}lmms-lab/ScienceQA, ScienceQA-IMG test"),
    "mmbench_en_dev_static": Size(0.097, "2678eaa", f"{_LIST}lmms-lab/MMBench, en dev"),
    "pope": Size(0.255, "271684c", f"{_LIST}lmms-lab/POPE, test"),
    **dict.fromkeys(("pope_adv", "pope_pop", "pope_random"), _POPE),
    "ocrbench": Size(0.068, "main", "the download size in the card of huggingface.co/datasets/echo840/OCRBench"),
}
"""By task. MLVU, ActivityNet-QA, one split of VQAv2, Video-LLaVA's data and most benchmarks of today are told by no
list that was found whole: `winnow data fetch` says how much before it downloads."""
