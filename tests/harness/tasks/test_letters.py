"""The one reader of options, wording by wording; what is written for B is written for every letter."""

import re
import time

import pytest

from winnow.harness.tasks.letters import read_letter

OPTIONS = {"A": "red cup", "B": "green ball", "C": "blue box", "D": "yellow lamp"}
NOTHING = ""

B = {
    "a letter": ["B", "b", "B.", "B!", "B\n", "B✓", '"B"', "'B'", "[B]", "(B)", "(b)", "B)", "b)", "(B", "【B】"],
    "a letter and the option": [
        "B) green ball", "(B) green ball", "(b) the cup", "B. green ball", "b. cup", "B: green ball", "B.green ball",
        "B - green ball", "B green ball", "B(green ball)", "Option B", "option b", "Choice B", "Option (B)",
    ],
    "a statement": [
        "Answer: B", "Answer:B", "answer: b", "ANSWER: B", "Answer - B", "The answer is B.", "The answer is b.",
        "The answer is (B) green ball", "The correct answer is option B: green ball.", "My answer would be B",
        "The correct answer to the question is B.", "The option that best describes the scene is (B).",
        "Final Answer - B", "The answer is most likely B", 'The answer is "B".', '{"answer": "B"}',
        "I choose B.", "I would go with option B", "I think B", "It's B.", "It is probably B, the green one.",
        "It must be option B because of the color.", "I'm not sure, but I think it is B.",
    ],
    "a letter that is praised": [
        "B is correct.", "Option B is correct.", "B is the answer, since A would be red.",
        "The best option is B because the ball is green.", "Based on the frames, B best describes the scene.",
    ],
    "markdown and tags": [
        "**B**", "**Answer:** B", "**Answer: B**", "### Answer\nB", "Answer:\n\n(B)", "`B`", "- B", "> B",
        "<answer>B</answer>", "<|begin_of_box|>B<|end_of_box|>",
    ],
    "its place": [
        "The second option", "The second option is correct.", "I choose the second choice.", "It's the second option.",
        "The answer is the second option.", "The correct one is the second option, not the first option.",
    ],
    "a Cyrillic letter": ["\u0412", "\u0412.", "(\u0412)", "Answer: \u0412"],
    "LaTeX": [
        r"$\boxed{B}$", r"\boxed{\text{B}}", r"The final answer is $\boxed{\text{(B)}}$.", r"\(\boxed{\mathrm{B}}\)",
        r"\[\boxed{B. \text{ green ball}}\]", r"The correct choice is: \textbf{B}",
    ],
    "Chinese, Japanese, Korean, wide letters": [
        "答案是B", "答案：B", "答案：【B】", "答案为（B）。", "故选B。", "选择 B", "我选B，因为A不对", "B选项正确",
        "正确答案是B选项", "排除A和C，应该选B", "Ｂ", "（Ｂ）", "정답은 B", "答えはBです",
    ],
    "reasoning that ends in a letter": [
        "A person opens it, so the answer is B.",
        "A person walks in. A dog follows. So it must be B.",
        "A shows a man, C shows a woman. The ball is green.\nB",
        "Let me think. A: red cup - no. B: green ball - yes. C: blue box - no.\n\nB",
        "Option A: no.\nOption B: yes.\nOption C: no.\nOption D: no.\nSo the answer is B.",
        "The answer is C. Wait, no: the answer is B.",
        "<think>It could be A or C. A is red.</think>B",
        "<think>Maybe A.</think>\n<answer>B</answer>",
        "Looking at A, B, C and D, the best match is B.",
    ],
    "a letter that is explained": [
        "Answer: B, because A is wrong", "B, because A is wrong", "B. A is wrong because the cup is not red.",
        "B\n\nExplanation: the ball is green, unlike C.", "B. The man is at point C.",
        "Answer: (B) green ball. Explanation: A and C do not appear.",
        "The answer: B\nThe ball is green, A would be red and C blue.",
    ],
    "others that are rejected": [
        "Not A but B", "It can't be A or C, so it is B.", "A is wrong, so B.", "The answer isn't A. It's B.",
        "A, C and D are wrong. B", "First, A is unlikely. C does not fit. Therefore, B.",
        "Step 1: D is ruled out.\nStep 2: A is ruled out.\nAnswer: B", "Between A and B, I choose B.",
        "The ball is green, so the answer is B rather than A.",
    ],
    "one letter is rejected, another is left": [
        "The answer is B, A is wrong", "A? No. B? Yes.", "A: no\nB: yes\nC: no\nD: no",
        "A) incorrect\nB) correct\nC) incorrect",
        "B is correct. The rest are wrong.", "B is correct and the others are wrong", "应选B而不是A", "选B不选A",
        "不是A，是B",
        "A和C是错误的，答案为B", "B ✓ A ✗", "~~A~~ B", "The answer is none other than B", "B is better than A",
    ],
    "a correction": [
        "The answer is A. Actually, it's B.", "The answer is A? No, B.", "Some may think the answer is A. It is B",
        "The answer is A. Correction: B", "The answer is A... wait, B.", "The answer is A. No wait. B.",
        "The answer is A, no, B.", "One might say the answer is A, but it is B", "Could be A, but I think B",
        "At first the answer seems to be A.\nB", "The answer key says A, however I say B", "Answer: A or B? B.",
        "The answer is A. Actually, the correct one is B.", "Is the answer A? No. It's B.",
    ],
    "a denial of something else": [
        "B. He does not open the door", "B: no cup is seen", "B (no cup is seen)", "B - the man isn't there",
        "The answer is B because the man does not open it", "Since the ball is not red, the answer is B.",
        "Since there is no red cup the answer is B", "None of the other options fit, so B", "No doubt, B",
        "Without doubt B",
        "Answer: B. Option A is also plausible but less likely.",
    ],
    "small letters": ["b is correct", "choose b", "i choose b", "b because the ball is green", "option b is correct"],
    "several, then one": ["Between B and C I'd go for B.", "Either A or C at first, but it is B."],
    "an option's words": ["green ball", "The green ball.", "The answer is green ball", "Green ball, and nothing else."],
}  # fmt: skip

A = {
    "the letter A": [
        "A", "a", "A.", "(a) red cup", "a) red cup", "A, the red cup", "A is correct.", "Option A is the best.",
        "A because the cup is red", "The answer is A.", "The answer is a", "answer: a", "A 是正确的",
    ],
    "the letter before other words": ["A. green ball", "A) green ball", "(A) green ball", "A: green ball"],
    "the article before an option's words": ["A red cup", "a red cup"],
}  # fmt: skip

NONE = {
    "the article": [
        "a cup", "A cup", "A person", "A man is opening a door", "The answer is a cup", "I see a man. A dog runs.",
        "(a red cup is not visible)",
    ],
    "one that is rejected": [
        "B is the wrong answer", "B is definitely wrong", "The incorrect option is B", "I don't think it's B",
        "B is inaccurate",
        "I would not choose B", "I would never choose B", "Anything but B", "everything but B", "except B", "No B",
        "B has no support",
        "B: wrong", "B (wrong)", "B - incorrect", "B: no", "B? No.", "B ❌", "B ✗", "~~B~~", "<del>B</del>", "B fails",
        "B cannot be correct",
        "Option B can be ruled out.", "B can be excluded", "B is the least likely", "B is less likely",
        "I disagree with B",
        "I doubt it's B", "Don't choose B", "I refuse to choose B", "I can't say B is correct",
        "It is not true that B is correct",
        "The wrong answer is B", "Eliminate: B, C, D", "Incorrect options: B, C", "B contradicts the video",
        "B lacks evidence",
        "B不是正确答案", "不可能是B", "不选B", "B是错的", "Bは間違い", "Bではない", "答えはBではない",
        "정답은 B가 아니다", "green ball is wrong",
        "It's anything but a green ball", "The answer is A is wrong.",
    ],
    "one that is asked about": ["B?", "Is it B?", "Is the answer B?", "Could it be B?"],
    "no option though a letter": [
        "Button B", "Mr. B", "John B. Smith walks", "the letter B", "The letter B is on the sign", "Channel B",
        "press B", "a B on the wall",
        "Car B is red", 'string "B"', "A T-shirt", "cup B",
    ],
    "a supposition": ["If the ball were red the answer would be A. It is green: B."],
    "several letters": [
        "A+B", "The answer is A+B", "A along with B", "A;B", "A to D", "A and also B", "A as well as B", "A B",
        "A) B)", "A. B.", "A or perhaps B",
        "B and C", "A or B", "A/B", "A, B", "Both B and C are correct.", "The answer is B or C.",
        "A and D both show it", "I am torn between A and B",
    ],
    "options repeated": [
        "A. red cup\nB. green ball\nC. blue box\nD. yellow lamp", "A. red cup\nB. green",
        "A. red cup B. green ball C. blue box D. yellow lamp",
        "Question: which one? Options: A. red cup B. green ball C. blue box D. yellow lamp",
    ],
    "refusal": [
        "I'm sorry, I cannot determine the answer from the video.", "I can't answer that.", "Unknown", "Dunno", "N/A",
        "None of the above", "All of the above", "None of the options A, B, C or D is right.", "The answer is not A.",
        "I cannot see a red cup in the video.",
    ],
    "empty": ["", "   ", "?", "\n"],
    "reasoning without an end": ["<think>Option A looks right, because the"],
    "no option of this question": ["E", "F.", "zebra?", "Answer: E", "E. It is not green as B says", "B and E"],
    "letters that are no options": [
        "B flat", "It is in B minor.", "The fifth option", "The second option is wrong.", "\u0412 \u0434\u0430",
        "Team A won", "vitamin C", "D-day", "C++", "It's 9 A.M.", "The U.S.A. team", "A's cup", "Bad", "Cab",
    ],
    "words of several options": ["The red cup and the green ball", "The man holds a red cup, then the green ball."],
}  # fmt: skip


def wordings(groups: dict[str, list[str]]) -> list[object]:
    return [pytest.param(text, id=f"{kind}: {text!r}") for kind, texts in groups.items() for text in texts]


@pytest.mark.parametrize("text", wordings(B))
def test_b(text: str) -> None:
    assert read_letter(text, OPTIONS) == "B"


@pytest.mark.parametrize("text", wordings(A))
def test_a(text: str) -> None:
    assert read_letter(text, OPTIONS) == "A"


@pytest.mark.parametrize("text", wordings(NONE))
def test_nothing_is_guessed(text: str) -> None:
    assert read_letter(text, OPTIONS) == NOTHING


@pytest.mark.parametrize("letter", "BCD")
def test_letters_but_the_article_are_alike(letter: str) -> None:
    said = [*B["a letter"], "Answer: B", "B is correct.", "Option B is correct.", "The best option is B because it is"]
    turned = [re.sub(r"\b[Bb]\b", lambda found: letter if found[0] == "B" else letter.lower(), text) for text in said]
    assert {text: read_letter(text, OPTIONS) for text in turned} == dict.fromkeys(turned, letter)


@pytest.mark.parametrize("before", ["", "Sure! ", "Based on the video, "])
@pytest.mark.parametrize("after", ["", ".", "\n", ", as the frames show.", ". It is not A."])
def test_a_statement_is_read_wherever_it_stands(before: str, after: str) -> None:
    assert read_letter(f"{before}the correct answer is C{after}", OPTIONS) == "C"


def test_options_words_count_by_their_longest_match_and_a_letter_before_them() -> None:
    options = {"A": "3", "B": "4", "C": "yes", "D": "no", "E": "Both A and B", "F": "yes and no"}
    said = {
        "3": "A", "There are 4 objects.": "B", "Yes": "C", "No, it isn't": "D", "Both A and B.": "E",
        "E. Both A and B": "E", "yes and no": "F", "It says yes and no": "F", "B": "B", "I don't know": NOTHING,
    }  # fmt: skip
    assert {text: read_letter(text, options) for text in said} == said


@pytest.mark.parametrize(
    ("said", "options", "letter"),
    [
        ("1.5", ["15", "20"], ""), ("1.5", ["15", "1.5"], "B"), ("It costs 1.5", ["15", "1.5"], "B"),
        ("The answer is 1.5.", ["1", "1.5"], "B"),
        ("-5", ["5", "7"], ""), ("-5", ["-5", "5"], "A"), ("5", ["-5", "5"], "B"), ("\u22125", ["-5", "5"], "A"),
        ("1/2", ["12", "3"], ""), ("1/2", ["12", "1/2"], "B"), ("3:15", ["315", "3:15"], "B"), ("1,500", ["1500",
        "15"], "A"),
        ("x<y", ["x>y", "x<y"], "B"), ("C#", ["C", "C++"], ""), ("A. 2", ["1", "2"], "A"), ("b) 4", ["4", "3"], "B"),
    ],
)  # fmt: skip
def test_signs_points_and_letters_of_numbers_count(said: str, options: list[str], letter: str) -> None:
    assert read_letter(said, dict(zip("ABCD", options, strict=False))) == letter


def test_no_is_an_answer_and_a_refusal_is_none() -> None:
    options = {"A": "Yes", "B": "No"}
    said = ["No", "No, he does not.", "B: No", "(B) No", "B. No", "The answer is B (No)", "**B: No.**"]
    refused = ["no idea", "No answer", "No, I cannot tell", "No, I can't say", "no clue"]
    assert [read_letter(text, options) for text in said + refused] == ["B"] * len(said) + [NOTHING] * len(refused)


def test_options_that_deny_something_are_not_rejected() -> None:
    options = {"A": "He opens it", "B": "He does not open it", "C": "No one is there", "D": "It is impossible to say"}
    forms = ["{0}. {1}", "({0}) {1}.", "{0}: {1}", "The answer is {0}: {1}", "The answer is {0}. {1}", "{0}", "{1}"]
    for letter, words in options.items():
        assert [read_letter(form.format(letter, words), options) for form in forms] == [letter] * len(forms)


def test_an_option_that_is_a_letter_is_chosen_by_its_own() -> None:
    options = {"A": "C", "B": "A", "C": "B"}
    assert [read_letter(text, options) for text in ("A. C", "C", "(B) A", "The answer is C")] == ["A", "C", "B", "C"]


def test_long_answers_are_read_in_time() -> None:
    """No pattern takes a time that grows with the square of the text."""
    texts = [
        "A or B, " * 5000,
        "the answer is " * 2000,
        "\n" * 40000 + "B",
        "(" * 3000,
        "<think>" * 5000,
        "a b " * 5000,
        "not " * 5000,
        "B is " * 5000,
        "A, " * 5000,
        "since no " * 3000,
        "(A) [B] " * 3000,
    ]
    start = time.process_time()
    read = [read_letter(text, OPTIONS) for text in texts]
    assert read == [NOTHING, NOTHING, "B", NOTHING, NOTHING, NOTHING, NOTHING, "B", "A", NOTHING, NOTHING]
    assert time.process_time() - start < 20
