"""IFBench's 58 constraints (arXiv 2507.02833): each one's checker and the kinds of its arguments.

In: nothing. Out: `KINDS`, in the shape of `instructions.KINDS`, which takes it up. The semantics
come from the wording of the prompts; where that leaves a choice, the checker's docstring says which
reading is taken. What needs a download elsewhere (stop words, parts of speech, syllables) is a list
or a rule here, so verdicts may differ from those published. Holds no checker itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rewards.ifeval import ifbench_counts as counts
from rewards.ifeval import ifbench_custom as custom
from rewards.ifeval import ifbench_formats as formats
from rewards.ifeval import ifbench_nesting as nesting
from rewards.ifeval import ifbench_repeat as repeat
from rewards.ifeval import ifbench_sentences as sentences
from rewards.ifeval import ifbench_words as words
from rewards.ifeval.arguments import Reader, choices, count, percentage, place, text

KINDS: Final[Mapping[str, tuple[Callable[..., bool], Mapping[str, Reader]]]] = {
    "count:conjunctions": (counts.conjunctions, {"small_n": count}),
    "count:keywords_multiple": (
        counts.keywords_multiple,
        {f"keyword{number}": text for number in range(1, 6)},
    ),
    "count:numbers": (counts.numbers, {"N": count}),
    "count:person_names": (counts.person_names, {"N": count}),
    "count:pronouns": (counts.pronouns, {"N": count}),
    "count:punctuation": (counts.punctuation, {}),
    "count:unique_word_count": (counts.unique_word_count, {"N": count}),
    "count:word_count_range": (
        counts.word_count_range,
        {"min_words": count, "max_words": count},
    ),
    "count:words_japanese": (counts.words_japanese, {"N": place}),
    "custom:character_reverse": (custom.character_reverse, {}),
    "custom:csv_city": (custom.csv_city, {}),
    "custom:csv_quotes": (custom.csv_quotes, {}),
    "custom:csv_special_character": (custom.csv_special_character, {}),
    "custom:date_format_list": (custom.date_format_list, {}),
    "custom:european_capitals_sort": (custom.european_capitals_sort, {}),
    "custom:mcq_count_length": (custom.mcq_count_length, {}),
    "custom:multiples": (custom.multiples, {}),
    "custom:reverse_newline": (custom.reverse_newline, {}),
    "custom:sentence_alphabet": (custom.sentence_alphabet, {}),
    "custom:word_reverse": (custom.word_reverse, {}),
    "format:emoji": (formats.emoji, {}),
    "format:line_indent": (formats.line_indent, {}),
    "format:list": (formats.list_items, {"sep": text}),
    "format:newline": (formats.newline, {}),
    "format:no_bullets_bullets": (formats.no_bullets_bullets, {}),
    "format:no_whitespace": (formats.no_whitespace, {}),
    "format:options": (formats.options, {"options": choices}),
    "format:output_template": (formats.output_template, {}),
    "format:parentheses": (nesting.parentheses, {}),
    "format:quote_unquote": (nesting.quote_unquote, {}),
    "format:quotes": (nesting.quotes, {}),
    "format:sub-bullets": (formats.sub_bullets, {}),
    "format:thesis": (formats.thesis, {}),
    "format:title_case": (formats.title_case, {}),
    "ratio:overlap": (sentences.overlap, {"reference_text": text, "percentage": percentage}),
    "ratio:sentence_balance": (sentences.sentence_balance, {}),
    "ratio:sentence_type": (sentences.sentence_type, {}),
    "ratio:sentence_words": (sentences.sentence_words, {}),
    "ratio:stop_words": (sentences.stop_words, {"percentage": percentage}),
    "repeat:repeat_change": (repeat.repeat_change, {"prompt_to_repeat": text}),
    "repeat:repeat_simple": (repeat.repeat_simple, {}),
    "repeat:repeat_span": (
        repeat.repeat_span,
        {"prompt_to_repeat": text, "n_start": count, "n_end": count},
    ),
    "sentence:alliteration_increment": (sentences.alliteration_increment, {}),
    "sentence:increment": (sentences.increment, {"small_n": count}),
    "sentence:keyword": (sentences.keyword, {"word": text, "N": place}),
    "words:alphabet": (words.alphabet, {}),
    "words:consonants": (words.consonants, {}),
    "words:keywords_specific_position": (
        sentences.keywords_specific_position,
        {"keyword": text, "n": place, "m": place},
    ),
    "words:last_first": (sentences.last_first, {}),
    "words:no_consecutive": (words.no_consecutive, {}),
    "words:odd_even_syllables": (words.odd_even_syllables, {}),
    "words:palindrome": (words.palindrome, {}),
    "words:paragraph_last_first": (words.paragraph_last_first, {}),
    "words:prime_lengths": (words.prime_lengths, {}),
    "words:repeats": (words.repeats, {"small_n": count}),
    "words:start_verb": (words.start_verb, {}),
    "words:vowel": (words.vowel, {}),
    "words:words_position": (words.words_position, {"keyword": text}),
}
IDS: Final = frozenset(KINDS)
