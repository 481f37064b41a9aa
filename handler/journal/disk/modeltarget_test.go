package disk

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"agentctl/handler/journal"
)

// targetModel is what a cursor must look like.
type targetModel struct {
	cfg     journal.CursorConfig
	below   uint64            // events from here on do not collapse
	pending []uint64          // sequence numbers, in order, less those joined
	given   []uint64          // those among them that someone has in hand
	leaders map[string]uint64 // by name
	joined  map[uint64]uint64 // to which leader
	asked   map[uint64]bool   // requeued not long ago
	buried  []uint64          // in the order of burial

	lost, expired, collapsed uint64
	gap                      bool // and it was not mended

	meant map[uint64]bool            // that the filters picked
	done  map[uint64]journal.Outcome // what is settled; State and Into only
}

// newTargetModel is the model of a cursor that was never opened before.
func newTargetModel(cfg journal.CursorConfig) *targetModel {
	t := &targetModel{
		leaders: map[string]uint64{}, joined: map[uint64]uint64{},
		meant: map[uint64]bool{}, done: map[uint64]journal.Outcome{}, asked: map[uint64]bool{},
	}
	t.open(nil, cfg)
	return t
}

// clone is what the next process must find, before anybody opens the cursor.
// What was joined when, and that events were requeued which the filters had
// not picked, it does not know.
func (t *targetModel) clone(m *journalModel) *targetModel {
	c := *t
	c.pending, c.given, c.buried = slices.Clone(t.pending), nil, slices.Clone(t.buried)
	c.leaders, c.joined = maps.Clone(t.leaders), maps.Clone(t.joined)
	c.meant, c.done, c.collapsed = maps.Clone(t.meant), map[uint64]journal.Outcome{}, 0
	c.asked = map[uint64]bool{}
	for seq, o := range t.done {
		if t.meant[seq] {
			c.done[seq] = journal.Outcome{State: o.State}
		}
	}
	c.arrange(m)
	return &c
}

// open is for a cursor that is closed, and opened with another configuration.
func (t *targetModel) open(m *journalModel, cfg journal.CursorConfig) {
	t.cfg, t.given, t.collapsed = cfg, nil, 0
	if m != nil {
		t.arrange(m)
	}
	if cfg.Collapse {
		t.below = math.MaxUint64
	} else if t.below == math.MaxUint64 {
		t.below = uint64(len(m.log)) + 1
	}
	if m != nil {
		t.arrange(m)
	}
}

// arrange joins anew all that waits; what the log has let go of is dropped.
func (t *targetModel) arrange(m *journalModel) {
	all := slices.AppendSeq(slices.Clone(t.pending), maps.Keys(t.joined))
	slices.Sort(all)
	t.pending, t.leaders, t.joined = nil, map[string]uint64{}, map[uint64]uint64{}
	for _, seq := range all {
		if t.join(m, seq) {
			delete(t.asked, seq)
		} else {
			t.pending = append(t.pending, seq)
		}
	}
}

// join tells whether an event needs not wait for itself.
func (t *targetModel) join(m *journalModel, seq uint64) bool {
	leader := t.leaders[m.name(seq)]
	switch {
	case seq >= t.below:
		return false
	case leader == 0:
		t.leaders[m.name(seq)] = seq
		return false
	case seq >= m.first():
		t.joined[seq] = leader
	}
	return true
}

// add is for an event that was appended.
func (t *targetModel) add(m *journalModel, seq uint64, limit int) {
	t.meant[seq] = true
	if t.join(m, seq) {
		t.collapsed++
		return
	}
	t.pending = append(t.pending, seq)
	if len(t.pending) > limit && len(t.given) < len(t.pending) {
		t.giveUp(m, t.next())
	}
}

// trim drops what was joined and is not retained any more.
func (t *targetModel) trim(m *journalModel) {
	maps.DeleteFunc(t.joined, func(seq, _ uint64) bool { return seq < m.first() })
}

func (t *targetModel) giveUp(m *journalModel, seq uint64) {
	t.unlead(m, seq)
	t.lose(t.settle(seq, journal.OutcomeLost))
}

func (t *targetModel) lose(n uint64) {
	t.lost += n
	t.gap = true
}

func (t *targetModel) unlead(m *journalModel, seq uint64) {
	if t.leaders[m.name(seq)] == seq {
		delete(t.leaders, m.name(seq))
	}
}

// settle is for an event that is settled, with what was joined to it. It
// returns how many those are.
func (t *targetModel) settle(seq uint64, state journal.OutcomeState) (n uint64) {
	t.given, t.pending = without(t.given, seq), without(t.pending, seq)
	t.done[seq] = journal.Outcome{State: state}
	delete(t.asked, seq)
	n = 1
	for s, leader := range t.joined {
		if leader == seq {
			t.done[s] = journal.Outcome{State: state, Into: seq}
			delete(t.joined, s)
			n++
		}
	}
	return n
}

// expire gives up what is too old and has its turn.
func (t *targetModel) expire(m *journalModel) {
	before := t.lost
	for seq := t.next(); t.cfg.MaxAge > 0 && seq > 0 && m.entry(seq).old && !t.asked[seq]; seq = t.next() {
		t.giveUp(m, seq)
	}
	t.expired += t.lost - before
}

func without(seqs []uint64, seq uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(seqs), func(s uint64) bool { return s == seq })
}

// next is the first that nobody has in hand; 0 is none.
func (t *targetModel) next() uint64 {
	for _, seq := range t.pending {
		if !slices.Contains(t.given, seq) {
			return seq
		}
	}
	return 0
}

func (t *targetModel) outcome(m *journalModel, seq uint64) journal.Outcome {
	switch {
	case slices.Contains(t.pending, seq):
		return journal.Outcome{State: journal.OutcomeWaiting}
	case t.joined[seq] > 0:
		return journal.Outcome{State: journal.OutcomeWaiting, Into: t.joined[seq]}
	case seq >= m.first() && t.done[seq].State != "":
		return t.done[seq]
	case slices.Contains(t.buried, seq):
		return journal.Outcome{State: journal.OutcomeBuried}
	}
	return journal.Outcome{}
}

// requeue makes events wait again that do not.
func (t *targetModel) requeue(m *journalModel, seqs []uint64) {
	for _, seq := range slices.SortedFunc(slices.Values(seqs), cmp.Compare) {
		if slices.Contains(t.pending, seq) || t.joined[seq] > 0 {
			continue
		}
		t.pending = append(t.pending, seq)
		t.asked[seq] = t.cfg.MaxAge > 0
		if seq < t.below && t.leaders[m.name(seq)] == 0 {
			t.leaders[m.name(seq)] = seq
		}
	}
	slices.Sort(t.pending)
	t.buried = slices.DeleteFunc(t.buried, func(s uint64) bool { return slices.Contains(seqs, s) })
}
