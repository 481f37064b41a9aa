package main

import "strings"

// The words by which a relative clause is told from an indirect question ("it tells
// which member left"), from a clause that a verb or a noun announces ("it says that
// it left", "the fact that it left") and from a plain pronoun ("after that").
var (
	askers = set(`ask asks asked asking say says said saying tell tells told telling know knows knew known knowing
		show shows showed shown showing see sees saw seen decide decides decided choose chooses chose chosen pick picks
		find finds found learn learns learned check checks checked matter matters remember remembers determine
		determines list lists name names print prints report reports log logs understand explain explains record records
		note notes guess wonder and or but nor not about exactly just as than wherever is are was be whether count counts
		depend depends depending regardless irrespective independent independently choice question differ differs settle settles only
		compare compares`)

	tellers = set(`tell tells told telling inform informs informed warn warns warned warning remind reminds reminded
		assure assures promise promises promised convince convinces show shows shown showing ask asks asked prove
		proves notify notifies notified teach teaches`)

	// sayers are askers that may have other words between them and the question.
	sayers = set(`say says said know knows see sees`)

	prepositions = set(`in of to by for from with at on through under after over into before behind beside within
		without above below against until during beyond between among upon since across toward towards like than
		except besides despite per via out off up down about around`)

	// announcers are followed by a clause with "that" which is no relative clause.
	announcers = set(`fact sign signs reason proof proofs promise promises claim warning message error idea chance risk way
		condition assumption note hint rule evidence guarantee belief statement knowledge time moment day point sense
		news hope fear suspicion doubt case effect result conclusion extent impression requirement
		say says said saying mean means meant meaning show shows showed shown know knows knew known see sees saw seen
		ensure ensures ensured prove proves proved proven require requires required assume assumes assumed guarantees
		guaranteed promised check checks checked find finds found learn learns learned believe believes think thinks
		notice notices noticed tell tells told warn warns warned report reports reported log logs logged notes noted
		expect expects expected hopes claims claimed state states stated confirm confirms confirmed hold holds held imply
		implies implied suppose answer answers answered verify verifies verified decide decides decided remember
		remembers demand demands follow follows followed happens seems turns add adds added write writes written hints
		suggest suggests recommend recommends need needs prevent prevents accept accepts admit agree agrees agreed
		argue complain complains complained conclude concludes declare declares detect detects discover discovers
		document documents explain explains feel forget forgets hear hears indicate indicates insist insists print
		prints propose read reads realise realize record records recorded understand understands wait want wants
		so such now given provided granted sure certain likely possible clear true aware important only even is are
		was were be been being has have had do does did can cannot may must will would and or but if when while because
		although though as then not also where whether that this these those which who what how why unless once`)

	// homonyms are announcers that are nouns too, after one of the articles.
	homonyms = set(`answer answers check checks document documents log logs note notes record records report reports
		state states`)
	articles = set(`a an the its their your our every no any`)

	determiners = set(`a an the each every any no all some its their your our his her another both one two three
		four five several many few most other these this those`)

	// pronouns are words that a relative clause follows at once.
	pronouns = set(`all everything anything nothing something those one ones everybody anybody nobody somebody everyone
		anyone someone`)

	auxiliaries = set(`is are was were has have had can cannot could may might must do does did will would should never
		isn't aren't wasn't doesn't don't didn't hasn't haven't can't won't`)

	// places are the nouns after which "where" begins a relative clause.
	places = set(`place places folder folders file files directory directories point points case cases page pages machine
		machines host hosts section sections line lines position positions state states system systems situation table`)
)

// relatives lists the relative clauses of a sentence by their first words. It misses
// some: a finding has to be right.
func relatives(ws []word) (found []string) {
	add := func(i int) { found = append(found, ws[i-1].text+" "+ws[i].text) }
	asked := false // an indirect question was seen
	for i := 1; i < len(ws); i++ {
		prev := ws[i-1]
		switch key := ws[i].key(); key {
		case "what", "how", "why":
			asked = true
		case "which", "who", "whom", "whose":
			switch {
			case asks(ws, i) || asked && prev.punctuated():
				asked = true
			case !prev.punctuated() || strings.HasSuffix(prev.plain, ",") || strings.HasPrefix(ws[i].plain, "("):
				add(i)
			}
		case "that":
			if i+1 < len(ws) && !ws[i].punctuated() && !prev.punctuated() && relativeThat(ws, i) {
				add(i)
			}
		case "where":
			if !prev.punctuated() && places[prev.key()] {
				add(i)
			}
		}
	}
	return found
}

// asks tells whether the word at i begins an indirect question.
func asks(ws []word, i int) bool {
	if ws[i-1].punctuated() {
		return false
	}
	at := i - 1
	if prepositions[ws[at].key()] && at > 0 {
		if ws[i].key() == "who" {
			return true // "by who opened it"
		}
		at--
	}
	if askers[ws[at].key()] {
		return true
	}
	return near(ws, i, 4, tellers) || near(ws, i, 5, sayers) // "tells the operator which"
}

// near tells whether one of the words stands among the n before i, with no
// punctuation between.
func near(ws []word, i, n int, words map[string]bool) bool {
	for j := i - 1; j >= max(0, i-n) && !ws[j].punctuated(); j-- {
		if words[ws[j].key()] {
			return true
		}
	}
	return false
}

// relativeThat tells whether "that" at i begins a relative clause.
func relativeThat(ws []word, i int) bool {
	prev, next := ws[i-1].key(), ws[i+1].key()
	if pronouns[prev] {
		return true
	}
	if homonyms[prev] && i > 1 && articles[ws[i-2].key()] {
		return true // "an answer that", not "they answer that"
	}
	if announcers[prev] || prepositions[prev] || near(ws, i, 4, tellers) {
		return false
	}
	if auxiliaries[next] && !strings.HasSuffix(prev, "ed") {
		return true // "events that are"
	}
	if i == 1 {
		return strings.HasSuffix(prev, "s") // "Members that", not "Retry that"
	}
	before := ws[i-2]
	switch {
	case strings.HasSuffix(before.plain, ":"):
		return strings.HasSuffix(prev, "s") // "two kinds: members that"
	case before.punctuated():
		return false
	}
	key := before.key()
	return determiners[key] || prepositions[key] && strings.HasSuffix(prev, "s") || // "the event that", "of events that"
		key != "" && key[0] >= '0' && key[0] <= '9' // "3 events that"
}
