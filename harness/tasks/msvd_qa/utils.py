"""What lmms-eval calls for MSVD-QA."""

from functools import partial

from winnow.harness.tasks import zero_shot_qa as qa

process_docs = partial(qa.process_docs, "msvd_qa")
doc_to_visual = partial(qa.doc_to_visual, "msvd_qa")
doc_to_text = qa.doc_to_text
process_results = qa.process_results
