"""Given names that are common among English-speaking and European customers, written down for this project.

`SURE` are hardly ever anything else and count in any case; `WRITTEN_LARGE` are words or brands as well ("will", "grace",
"may") and count only with a capital, inside of a sentence or before another capitalised word.
"""

SURE = frozenset(
    """aaron abigail adam adrian agnes agnieszka ahmed aisha alan albert alberto alejandro alessandro alexander alexandra alexandre alfonso alfred alice alicia alison allison
    alyssa amanda amber amelia amir amy ana anastasia andrea andreas andrei andrew andrey angela angelica angelo anita anja anna annabelle anne annette annika anthony antoine
    antonia antonio arjun arnold arthur ashley astrid audrey aurora barbara beatrice beatriz benjamin bernard bernhard beth bethany betty beverly birgit bjorn bogdan boris
    brandon brenda brendan brent brett brian bridget brigitte brittany bruno bryan caitlin calvin cameron camila camille candice carl carla carlos carmen carol carolina caroline
    carolyn catalina catarina catherine cathy cecilia cedric celia celine chantal charlene charles charlotte cheryl chloe christian christina christine christoph christophe
    christopher cindy claire clara claudia claudio clement colin connor constance corey courtney craig cristina cristian crystal curtis cynthia dagmar daniel daniela danielle
    danny daphne darren dave david deborah debra denise dennis derek diana diane diego dimitri dmitri dolores dominic dominik dominique donald donna doris dorothy douglas
    duncan dustin dwayne dylan eduardo edward edwin eileen elaine eleanor elena elias elisa elisabeth elizabeth ellen eloise elsa emilia emilio emily emma emmanuel enrique erica
    erik erika ernesto esther ethan eugene eva evelyn fabian fabio fatima felicia felipe fernanda fernando fiona flora florian frances francesca francesco francis francisco
    francois frederic frederick frieda friedrich gabriel gabriela gabrielle gareth gary gavin geoffrey georgia georgina gerald gerard gerhard giovanni giulia giuseppe gladys glenn
    gloria gonzalo gordon greg gregory greta guillaume guillermo gustavo hannah hans harold harriet harry hassan heather heidi heinrich helen helena helene helga helmut henri henrik
    henry herbert hilary holger howard hugo ian ibrahim igor ines ingrid irene irina irma isaac isabel isabella isabelle ivan jacob jacqueline jacques jaime jake jakob james
    jamie jan jana jane janet janice janine jared jasmine jason javier jeff jeffrey jennifer jenny jeremy jeroen jerome jerry jesse jessica jill jim jimmy joan joana joanna joanne
    joaquin jody joel johan johann johannes john johnny jonas jonathan jordan jorge jose josef joseph josephine joshua joyce juan juanita judith judy julia julian juliana julie
    juliette julio jurgen justine jutta kamil karen karin karina karl karla katarina kate katerina katharina katherine kathleen kathryn kathy katie katrin kaylee keith kelly kenji
    kenneth kevin khalid kimberly kirsten klaus kristen kristin kristina kurt kyle lars larry latoya laura lauren laurence laurent lea leah lena leon leonard leonardo leslie
    liam lillian linda lindsay lindsey lisa lorenzo lori lorraine louis louise luca lucas lucia luciana lucy luis luisa lukas lydia lynn maciej madeleine madison magdalena manuel
    manuela marcel marcela marcelo marcin marco marcos marcus margaret margarita maria mariana marianne marie marilyn marina mario marion marissa marjorie marko markus marta martha
    martin martina martine mary mateo mateusz mathilde matteo matthew matthias maureen maurice mauricio megan mehmet melanie melinda melissa mercedes meredith michael michaela michal
    michel michele michelle miguel mikael mikhail milan mildred miranda miriam mitchell mohamed mohammed monica monika monique muhammad nadia nadine nancy naomi natalia natalie
    natasha nathalie nathan nathaniel nicholas nick nicola nicolas nicole niels nigel nikolai nils nina noah nora norma norman olaf oleg olga oliver olivia omar oscar otto owen
    pablo pamela paola paolo patricia patrick patrik paul paula pauline paulo pavel pedro peggy penelope peter petra philip philipp philippe phillip phyllis pierre piotr priya rachel
    rafael raj rajesh ralph ramon randall raphael raquel raul raymond rebecca regina reinhard renata renate ricardo riccardo richard rita robert roberta roberto robin rodrigo roger
    roland roman romain ronald rosa rosalind rosemary roxanne ruben rudolf russell ruth ryan sabine sabrina salvatore samantha samuel sandra sandro santiago sara sarah scott sean
    sebastian sergei sergio seth shane shannon sharon shaun shawn sheila shelley sherry shirley sidney sigrid silvia simon simone sofia sonia sophia sophie stacey stacy
    stanislav stefan stefania stefano stephanie stephen steve steven stuart susan susanna susanne suzanne svetlana sven sylvia tamara tania tanya tara tatiana teresa terrence theodore
    theresa therese thomas tiffany tim timothy tina tobias todd tomas tomasz tommy toni tony tracy trevor tristan tyler ulrich ulrike ursula uwe valentina valeria valerie vanessa
    vera veronica veronika vicente vicki vincent vincenzo virginia vivian vladimir walter wanda wayne wendy werner wesley wilhelm william wolfgang xavier yolanda yusuf
    yvette yvonne zachary zoe keiko yuki akira hiroshi kenta takashi ngozi chidi kwame amara fatou ravi sanjay sunita deepak anil vijay lakshmi wei jing mei hui
    eric evan tyrone terry marc luke lewis layla lily keith jon jay jose gina gail frank felix ella edith dean clarence cody bradley brad bernice becky annie alex allen""".split()  # noqa: SIM905  # names read better as a text
) - frozenset(
    [
        "amber",
        "virginia",
        "madison",
        "jordan",
        "georgia",
        "florence",
        "sofia",
        "milan",
        "mercedes",
        "victoria",
        "regina",
        "aurora",
        "dean",
        "jay",
        "mario",
        "roman",
        "christian",
        "jan",
        "may",
        "robin",
        "may",
        "marina",
        "mei",
        "hui",
        "wei",
        "jing",
        "roger",
        "tim",
        "raj",
        "diego",
        "santiago",
        "rita",
        "alice",
        "amir",
        "felix",
        "leon",
        "oscar",
        "alberto",
    ]
)  # as above
WRITTEN_LARGE = frozenset(
    """leo theo tom amber angel april art ash asher autumn bella ben bill billy blake bob brook brooke brooks carter chance chase chelsea chris christian christy clay cliff cole crystal daisy
    dale dan dawn dean destiny dick don drew duke earl eve faith fay felix florence frankie fred gene george georgia ginger glen grace grant guy harmony harper heath holly hope
    hunter iris ivy jack jan jasper jay jean jewel jo joe jordan joy june justin kay kelly ken kim kit lance lara lee leon leo liz lola luna madison marina mario mark marshall mason
    matt max maya melody mercedes mia mick mike miles milan milo mo nat neil nico norm oscar otis pat patience paris parker pearl penny pete phil piper porter pierce ray red regina reed rex rich
    rick rob robin roger roman ron rose rosie roy ruby rudy russ ryder sally sam sandy savannah sierra simon skip skye sky sofia stella sterling stone sue summer sunny susie tad taylor
    ted tim trinity troy ty victor victoria violet virgil virginia ward warren will willow wren wyatt zac zack zara bryce callum carrie cora dana darcy dora edie elle else
    alice alberto amir aurora diego santiago rita raj mei hui wei jing ali ana isla jade jade jonah josh kai kara keira kendra kira kris lana lila mabel mara mina nell nia
    nino noel paige peyton quinn rae rahul rosa ross rowan sasha selena shay sid silas tess tyson uma vic wes yara zain""".split()  # noqa: SIM905  # as above
)
