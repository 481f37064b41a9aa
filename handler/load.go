package handler

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// maxProblems bounds what a Report lists.
const maxProblems = 100

// Report is what CheckDir found.
type Report struct {
	Path  string `json:"path"`  // of the file
	Bytes int64  `json:"bytes"` // its size

	Events  int            `json:"events"` // that can be read
	First   uint64         `json:"first"`  // their sequence numbers
	Last    uint64         `json:"last"`
	Head    uint64         `json:"head"`  // the newest sequence number that was given
	LTime   uint64         `json:"ltime"` // the highest Lamport time of a user event
	Targets []TargetReport `json:"targets"`

	// Torn says that the commit before the last shutdown was not finished:
	// the journal is that of the commit before.
	Torn bool `json:"torn"`
	// Problems is what is damaged, one line each, at most 100.
	Problems []string `json:"problems,omitempty"`
}

// TargetReport is how a target's cursor stands.
type TargetReport struct {
	Name     string    `json:"name"`
	Filters  string    `json:"filters"`
	Waiting  int       `json:"waiting"`
	Buried   int       `json:"buried"`
	Lost     uint64    `json:"lost"`
	GapSince time.Time `json:"gap_since,omitzero"` // zero: there is no gap
}

// contents is what a journal's file holds.
type contents struct {
	header   header
	hasHead  bool
	version  *versionError // of the first value that is too new
	entries  []*entry      // in order
	targets  map[string]*targetContents
	state    uint64          // values of targets
	buckets  map[string]bool // that are there
	problems []string
	torn     bool
}

type targetContents struct {
	cursor *cursorState
	extras []uint64
	buried map[uint64]BuriedInfo
}

// readContents reads a whole file, and checks all of it that counts.
func readContents(r io.ReaderAt, size int64) *contents {
	c := &contents{targets: map[string]*targetContents{}, buckets: map[string]bool{}}
	f, err := openBolt(r, size, c.problem)
	if err != nil {
		c.problem(err)
		return c
	}
	c.torn = f.torn
	f.walk(func(bucket string) { c.buckets[bucket] = true }, c.value)
	if !c.hasHead && len(c.problems) == 0 {
		c.problem(errors.New("it is a bbolt file of another program"))
	}
	if len(c.problems) == 0 {
		c.check()
	}
	return c
}

func (c *contents) problem(err error) {
	if v, ok := errors.AsType[*versionError](err); ok && c.version == nil {
		c.version = v
	}
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, err.Error())
	}
}

// value takes one value of the file.
func (c *contents) value(bucket string, key, value []byte) {
	var err error
	what := "an unknown value"
	switch {
	case bucket == string(journalBucket) && string(key) == string(headerKey):
		what = "the header"
		c.header, err = decodeHeader(key, value)
		c.hasHead = err == nil
	case bucket == string(eventsBucket) && len(key) == 8:
		e := &entry{written: true}
		e.Seq = binary.BigEndian.Uint64(key)
		what = fmt.Sprintf("event %d", e.Seq)
		if e.Event, err = decodeEvent(key, value); err == nil {
			c.entries = append(c.entries, e)
		}
	case bucket == string(targetsBucket):
		c.state++
		what, err = c.target(key, value)
	default:
		err = fmt.Errorf("it is under %q in %q", excerpt(string(key), 40), excerpt(bucket, 40))
	}
	if err != nil {
		c.problem(fmt.Errorf("%s: %w", what, err))
	}
}

func (c *contents) target(key, value []byte) (what string, err error) {
	name, kind, seq, ok := splitTargetKey(key)
	if !ok {
		return "a target's value", errEncoding
	}
	t := c.targets[name]
	if t == nil {
		t = &targetContents{buried: map[uint64]BuriedInfo{}}
		c.targets[name] = t
	}
	switch kind {
	case kindCursor:
		var s cursorState
		if s, err = decodeCursor(key, value); err == nil {
			t.cursor = &s
		}
	case kindExtras:
		t.extras, err = decodeSeqs(key, value)
	case kindBurial:
		t.buried[seq], err = decodeBurial(key, value)
	}
	return fmt.Sprintf("target %q", excerpt(name, 80)), err
}

// check compares the parts with each other.
func (c *contents) check() {
	for _, name := range [][]byte{journalBucket, eventsBucket, targetsBucket} {
		if !c.buckets[string(name)] {
			c.problem(fmt.Errorf("its part %q is not there", name))
		}
	}
	if n := uint64(len(c.entries)); n != c.header.count {
		c.problem(fmt.Errorf("%d events are there, and %d should be", n, c.header.count))
	}
	if n := len(c.entries); n > 0 && c.entries[n-1].Seq > c.header.head {
		c.problem(fmt.Errorf("event %d is beyond the head, %d", c.entries[n-1].Seq, c.header.head))
	}
	retained := uint64(0)
	for _, e := range c.entries {
		if e.Seq >= c.header.first {
			retained++
		}
	}
	if want := c.header.head + 1 - c.header.first; retained != want && len(c.problems) == 0 {
		c.problem(fmt.Errorf("%d events of the history are there, and %d should be", retained, want))
	}
	for name, t := range c.targets {
		if t.cursor == nil {
			c.problem(fmt.Errorf("target %q has no place", excerpt(name, 80)))
		}
	}
	if c.state != c.header.state && c.header.state != stateUnknown {
		c.problem(fmt.Errorf("%d values of targets are there, and %d should be", c.state, c.header.state))
	}
}

// waiting yields what waits for a target.
func (c *contents) waiting(t *targetContents) (out []*entry) {
	for _, e := range c.entries {
		if t.cursor.pending(e, t.extras) {
			out = append(out, e)
		}
	}
	return out
}

// report sums the contents up.
func (c *contents) report(path string, size int64) Report {
	r := Report{
		Path: path, Bytes: size, Torn: c.torn, Problems: c.problems,
		Events: len(c.entries), Head: c.header.head, LTime: c.header.ltime,
	}
	if n := len(c.entries); n > 0 {
		r.First, r.Last = c.entries[0].Seq, c.entries[n-1].Seq
	}
	for name, t := range c.targets {
		tr := TargetReport{Name: name, Buried: len(t.buried)}
		if s := t.cursor; s != nil {
			tr.Filters, tr.Lost, tr.GapSince = s.filters().String(), s.lost, s.gap.Since
			tr.Waiting = len(c.waiting(t))
		}
		r.Targets = append(r.Targets, tr)
	}
	slices.SortFunc(r.Targets, func(a, b TargetReport) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// restore makes the memory of contents without a problem.
func (m *Memory) restore(c *contents) {
	m.head = c.header.head
	m.maxLTime = c.header.ltime
	if c.header.first > 1 { // of which type that was, and when, is not known
		m.ltimes.trimmed, m.trimTime = c.header.first-1, time.Now()
	}
	bySeq := make(map[uint64]*entry, len(c.entries))
	for _, e := range c.entries {
		bySeq[e.Seq] = e
		if e.Seq >= c.header.first {
			m.retain(e)
		} else {
			m.index(e)
		}
	}
	for name, t := range c.targets {
		cur := newMemoryCursor(m)
		cur.closed = true
		close(cur.done)
		s := t.cursor
		cur.queue = queue{
			eras: s.eras, lost: s.lost, expired: s.expired, collapse: collapse{below: s.collapse}, gap: s.gap,
			since: s.since, extras: t.extras, holes: s.holes,
			lostIn: s.lostIn, refused: s.refused,
		}
		if cur.gap.Open() {
			cur.gap.Mark = 1 // it is one to Mend
		}
		if e := bySeq[s.last]; e != nil {
			cur.keep = true
			cur.remember(e)
		}
		m.cursors[name] = cur
		for seq, why := range t.buried {
			e := bySeq[seq]
			if e == nil {
				cur.touchBuried(seq) // its event is gone: so shall it be
				continue
			}
			e.refs++
			cur.buried = append(cur.buried, &burial{e, why})
		}
		slices.SortFunc(cur.buried, func(a, b *burial) int {
			return cmp.Or(a.why.Time.Compare(b.why.Time), cmp.Compare(a.entry.Seq, b.entry.Seq))
		})
		for _, e := range c.waiting(t) {
			if !t.holdsBuried(e.Seq) {
				cur.add(e)
			}
		}
		cur.collapsed = 0 // they were counted when they came first
		cur.dirty = cur.lost != s.lost || len(cur.buriedDirty) > 0
	}
	for _, e := range c.entries {
		if e.refs == 0 { // nobody needs it: a crash came before it was deleted
			delete(m.byID, e.Event.ID)
			m.changes.gone = append(m.changes.gone, e.Seq)
		}
	}
	m.trim(time.Now())
	m.changes.wakeWriter()
}

func (t *targetContents) holdsBuried(seq uint64) bool {
	_, ok := t.buried[seq]
	return ok
}
