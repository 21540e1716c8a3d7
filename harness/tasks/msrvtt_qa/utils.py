"""What lmms-eval calls for MSRVTT-QA."""

from functools import partial

from winnow.harness.tasks import zero_shot_qa as qa

process_docs = partial(qa.process_docs, "msrvtt_qa")
doc_to_visual = partial(qa.doc_to_visual, "msrvtt_qa")
doc_to_text = qa.doc_to_text
process_results = qa.process_results
