"""The word lists that IFBench's constraints need, written by hand; English, in small letters.

Function words are closed classes and complete as far as they go. Verbs are an open one: a verb
that is not among these some 600 is not recognised. Says nothing of what a word means in its place.
"""

from __future__ import annotations

from typing import Final


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split())


COORDINATING: Final = _split("for and nor but or yet so")
# Personal, possessive, reflexive, interrogative, relative and indefinite pronouns. Those that as
# often are determiners or conjunctions (this, that, all, some, each, one …) are left out.
PRONOUNS: Final = _split(
    """
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself
    it its itself we us our ours ourselves they them their theirs themselves themself
    who whom whose which what whoever whomever whatever whichever
    anybody anyone anything everybody everyone everything nobody nothing somebody someone something
    thou thee thy thine ye
    """
)
STOP_WORDS: Final = PRONOUNS | _split(
    """
    a an the this that these those and but or nor if because as until while although though unless
    whereas than so yet of at by for with about against between among into onto through throughout
    during before after above below over under to from up down in out on off within without upon
    toward towards across along around behind beside besides beyond despite except inside outside
    near per since via again further then once here there when where why how all any both each few
    more most other another some such no not only own same too very just also even ever never
    either neither much many several every am is are was were be been being have has had having do
    does did doing will would shall should can could may might must ought cannot let
    """
)
# A title's words that may begin small: articles, short conjunctions and short prepositions.
MINOR: Final = _split(
    """
    a an the and but or nor for yet so as if at by in of off on per to up via from with into onto
    over than that down near like past upon vs v
    """
)
NAMES: Final = _split(
    """
    Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander
    Amelia Benjamin Harper Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella
    Jacob Scarlett Nathan Victoria Elijah Layla Nicholas Audrey David Hannah Christopher Penelope
    Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan
    """
)
# Forms that no rule derives from the base.
_IRREGULAR: Final = _split(
    """
    am is are was were been being has had having does did done doing goes went gone said says made
    took taken gave given came saw seen knew known thought found told became left felt brought
    began begun kept held wrote written stood heard meant met ran paid sat spoke spoken led grew
    grown lost fell fallen sent built understood drew drawn broke broken spent rose risen drove
    driven bought wore worn chose chosen ate eaten slept won taught caught fought sought sold flew
    flown forgot forgotten hid hidden shook shaken sang sung swam threw thrown woke bound born lay
    lain struck dying lying tying
    """
)
VERBS: Final = _IRREGULAR | _split(
    """
    be have do go can could may might must shall should will would let get make take give come see
    know think find tell become leave feel bring begin keep hold write stand hear mean meet run pay
    sit speak lead grow lose fall send build understand draw break spend rise drive buy wear choose
    eat sleep win teach catch fight seek sell fly forget hide shake sing swim throw wake bind

    abandon abolish absorb accelerate accept access accommodate accompany accomplish account
    achieve acknowledge acquire act activate adapt add address adhere adjust administer admire admit
    adopt advance advise advocate affect affirm agree aid aim align allocate allow alter amend
    amplify analyse analyze anchor announce anticipate apologise apologize appear append apply
    appoint appreciate approach approve argue arise arrange arrive articulate ascend ask assemble
    assert assess assign assist assume assure attach attack attain attempt attend attract avoid
    await awaken balance ban base bear beat beg behave behold believe belong bend bet beware blame
    bleed blend bless blow boast boil boost borrow bound bow brace brainstorm breathe brew bridge
    broaden browse burn burst bury calculate call calm capture care carry carve cast celebrate
    centre challenge change characterise characterize charge chart check cherish claim clarify
    classify clean clear click climb cling close collaborate collapse collect combine commence
    comment commit communicate compare compete compile complete comply compose compute conceal
    concede conceive concentrate conclude conduct confess configure confirm confront confuse connect
    conquer consider consist construct consult consume contact contain contemplate continue
    contrast contribute control converge convert convey convince cook cooperate coordinate copy
    correct count cover craft crash crawl create cross cry cultivate curate cure cut dance dare
    deal debate decide declare decline decrease dedicate deepen defend define deliver delve demand
    demonstrate denote deny depart depend depict deploy derive descend describe deserve design
    desire despair destroy detail detect determine develop devise differ differentiate dig diminish
    direct disagree disappear discard discern disclose discover discuss dismiss display dissect
    dissolve distinguish distribute dive diverge divide document dominate doubt draft dream drift
    drink drop dwell earn ease echo edit educate eliminate elevate embark embed embody embrace
    emerge emphasise emphasize employ empower enable encounter encourage end endure enforce engage
    enhance enjoy enlighten enrich ensure enter entertain envision escape establish estimate
    evaluate evoke evolve examine exceed exclude excuse execute exercise exhale exhibit exist expand
    expect experience experiment explain exploit explore export expose express extend extract face
    facilitate fail fear feed fetch fill filter finish fit fix flee flip float flourish flow focus
    fold follow force forge forgive form formulate foster freeze fulfil fulfill function fund
    gain gather gaze generate glance go govern grab graduate grant grasp greet grind grip guarantee
    guard guess guide halt handle hang happen harness hate haunt heal heed help hesitate highlight
    hit honor honour hop hope hunt identify ignite ignore illuminate illustrate imagine imbue
    immerse implement imply import impose improve incorporate increase indicate infer influence
    inform inhale inherit initiate inject innovate inquire insert insist inspect inspire install
    integrate intend interact interpret intersect introduce invent invest investigate invite invoke
    involve iterate join judge jump justify kick kill kiss kneel knit knock label lack land
    laugh launch lay lean learn leap leverage lie lift light limit link list listen live load
    locate log look loop love lower maintain manage manifest map march mark master match maximise
    maximize measure meditate memorize mend mention merge migrate minimise minimize mix model
    modify monitor motivate mourn move multiply narrate navigate need neglect negotiate nest
    normalise normalize note notice nurture obey observe obtain occur offer open operate oppose
    optimise optimize orchestrate order organise organize originate outline overcome overlook
    oversee owe own paint partition pass pause perceive perform permit persist persuade picture
    place plan plant play plead please plot point ponder portray pose position possess postpone
    pour practice practise praise pray predict prefer prepare present preserve press pretend
    prevent print prioritise prioritize proceed process produce progress prohibit project promise
    promote prompt propose protect prove provide publish pull punish purchase pursue push put
    quantify query question quit quote race raise reach react read realise realize reason recall
    receive recite recognise recognize recommend reconsider record recover reduce refer refine
    reflect refrain refuse regard register reign reject relate relax release rely remain remember
    remind remove render repeat replace reply report represent require rescue research reshape
    resist resolve respect respond rest restate restore restrict result resume retain retrieve
    return reveal reverse review revise revisit revolve reward rewrite ride ring risk roam roll
    rotate rule rush sail satisfy save savor say scan scatter schedule scream scroll search secure
    seem select separate serve set settle shape share shatter shift shine ship shoot shout show
    shrink shut sign simplify simulate sink sketch skip slice slide slip smell smile solve
    sort sound span spare spark specify speculate spin split spot spread spring stare start state
    stay steal steer step stick stop store strengthen stress stretch strike strive structure
    struggle study submit substitute succeed suffer suggest sum summarise summarize support suppose
    surpass surrender surround survive suspect sustain swallow swear sweep switch swing tackle
    tailor talk tap target taste tear tend terminate test thank thrive tie touch trace track trade
    train transcend transfer transform transition translate transport travel traverse treat trust
    try tune turn type uncover undergo undertake unfold unify unite unlock unpack unravel unveil
    update upgrade uphold urge use utilise utilize validate value vanish vary venture verify view
    visit visualise visualize vote wait walk wander want warn wash watch weave weep weigh welcome
    whisper widen wield wish wonder work worry wrap wrestle yearn yield zoom
    """
)
