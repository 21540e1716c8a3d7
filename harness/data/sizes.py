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
_TEMPCOMPASS = Size(0.418, "c8a67d8", f"{_LIST}lmms-lab/TempCompass, videos of all parts together")
_REFCOCO = f"{_LIST}lmms-lab/RefCOCO"
_LITE = f"{_LIST}lmms-lab/LMMs-Eval-Lite"

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
    "chartqa": Size(0.073, "9e63b7d", f"{_LIST}lmms-lab-encoder/ChartQA"),
    "refcoco_bbox_rec_val": Size(1.143, "e15256e", f"{_REFCOCO}, val"),
    "refcoco_bbox_rec_testA": Size(0.13, "e15256e", f"{_REFCOCO}, testA"),
    "refcoco_bbox_rec_testB": Size(0.133, "e15256e", f"{_REFCOCO}, testB"),
    "refcoco+_bbox_rec_val": Size(0.264, "6ff10a2", f"{_REFCOCO}plus, val"),
    "refcoco+_bbox_rec_testA": Size(0.13, "6ff10a2", f"{_REFCOCO}plus, testA"),
    "refcoco+_bbox_rec_testB": Size(0.133, "6ff10a2", f"{_REFCOCO}plus, testB"),
    "refcocog_bbox_rec_val": Size(1.24, "c39eb63", f"{_REFCOCO}g, val"),
    "refcocog_bbox_rec_test": Size(0.814, "c39eb63", f"{_REFCOCO}g, test"),
    "mmbench_cn_dev": Size(0.097, "56ba1af", f"{_LIST}lmms-lab/MMBench, cn dev"),
    "mmstar": Size(0.042, "bc98d66", f"{_LIST}Lin-Chen/MMStar, without its .tsv"),
    "mathvista_testmini_cot": Size(0.142, "2b6ad69", f"{_LIST}AI4Math/MathVista, testmini"),
    "ai2d": Size(0.14, "c83a9b9", f"{_LIST}lmms-lab/ai2d"),
    "realworldqa": Size(0.678, "907c4e5", f"{_LIST}lmms-lab/RealWorldQA"),
    "hallusion_bench_image": Size(0.147, "cd41716", f"{_LIST}lmms-lab/HallusionBench, image"),
    **dict.fromkeys((f"tempcompass_{kind}" for kind in ("multi_choice", "yes_no", "caption_matching")), _TEMPCOMPASS),
    "lvbench": Size(61.8, "a2ee023", f"{_LIST}lmms-lab/LVBench"),
    "temporal_grounding_charades": Size(16.3, "799008a", f"{_LIST}lmms-lab/charades_sta, four archives"),
    "vsibench": Size(5.73, "bc96b17", f"{_LIST}nyu-visionx/VSI-Bench, three archives"),
    "ai2d_lite": Size(0.082, "145f5c1", f"{_LITE}, ai2d"),
    "mmbench_cn_dev_lite": Size(0.013, "a127acd", f"{_LITE}, mmbench_cn_dev"),
    "seedbench_lite": Size(0.182, "c7e4ec1", f"{_LITE}, seedbench"),
}
"""By task. Of the others (MLVU, ActivityNet-QA, one split of VQAv2, Video-LLaVA's data, DocVQA, InfographicVQA, VizWiz,
SEED-Bench, MMMU, Video-MMMU, Video-MME-v2, MotionBench, OVO-Bench, CHAIR's captions, most of LMMs-Eval-Lite) no list
was found whole: `winnow data fetch` says how much before it downloads."""
