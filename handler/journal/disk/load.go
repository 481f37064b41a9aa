package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"agentctl/agent/files"
	"agentctl/handler/journal"
	"agentctl/handler/journal/boltfile"
	"agentctl/handler/text"
)

func readFile(path string) (*contents, int64, error) {
	f, err := files.OpenOwn(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("journal: %w", err)
	}
	return readContents(f, info.Size()), info.Size(), nil
}

// maxProblems bounds the problems of a Report.
const maxProblems = 100

// contents is the part of a journal's file that could be read.
type contents struct {
	journal.State
	counts   counts // those in the header
	hasHead  bool
	version  *versionError   // of the first value that is too new
	values   uint64          // of targets, counted
	buckets  map[string]bool // those in the file
	problems []string
	torn     bool
}

// readContents reads a whole file, and checks each part of it by itself and with the
// others.
func readContents(r io.ReaderAt, size int64) *contents {
	c := &contents{buckets: map[string]bool{}}
	f, err := boltfile.Open(r, size, c.problem)
	if err != nil {
		c.problem(err)
		return c
	}
	c.torn = f.Torn
	f.Walk(func(bucket string) { c.buckets[bucket] = true }, c.value)
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

// value takes over one value of the file.
func (c *contents) value(bucket string, key, value []byte) {
	var err error
	what := "an unknown value"
	switch {
	case bucket == string(journalBucket) && string(key) == string(headerKey):
		what = "the header"
		c.Header, c.counts, err = decodeHeader(key, value)
		c.hasHead = err == nil
	case bucket == string(eventsBucket) && len(key) == 8:
		r := journal.Record{Seq: binary.BigEndian.Uint64(key)}
		what = fmt.Sprintf("event %d", r.Seq)
		if r.Event, err = decodeEvent(key, value); err == nil {
			c.Add(r)
		}
	case bucket == string(targetsBucket):
		c.values++
		what, err = c.targetValue(key, value)
	default:
		err = fmt.Errorf("it is under %q in %q", text.Excerpt(string(key), 40), text.Excerpt(bucket, 40))
	}
	if err != nil {
		c.problem(fmt.Errorf("%s: %w", what, err))
	}
}

func (c *contents) targetValue(key, value []byte) (what string, err error) {
	name, kind, seq, ok := splitTargetKey(key)
	if !ok {
		return "a target's value", errEncoding
	}
	t := c.Target(name)
	switch kind {
	case kindCursor:
		var s journal.CursorState
		if s, err = decodeCursor(key, value); err == nil {
			t.Cursor = &s
		}
	case kindPending:
		t.PendingExceptions, err = decodeSeqs(key, value)
	case kindBurial:
		t.Buried[seq], err = decodeBurial(key, value)
	}
	return fmt.Sprintf("target %q", text.Excerpt(name, 80)), err
}

// check compares the parts with each other.
func (c *contents) check() {
	for _, name := range [][]byte{journalBucket, eventsBucket, targetsBucket} {
		if !c.buckets[string(name)] {
			c.problem(fmt.Errorf("its part %q is not there", name))
		}
	}
	if n := uint64(len(c.Entries)); n != c.counts.events {
		c.problem(fmt.Errorf("%d events are there, and %d should be", n, c.counts.events))
	}
	if n := len(c.Entries); n > 0 && c.Entries[n-1].Seq > c.Header.Head {
		c.problem(fmt.Errorf("event %d is beyond the head, %d", c.Entries[n-1].Seq, c.Header.Head))
	}
	retained := uint64(0)
	for _, e := range c.Entries {
		if e.Seq >= c.Header.First {
			retained++
		}
	}
	if want := c.Header.Head + 1 - c.Header.First; retained != want && len(c.problems) == 0 {
		c.problem(fmt.Errorf("%d events of the history are there, and %d should be", retained, want))
	}
	for name, t := range c.Targets {
		if t.Cursor == nil {
			c.problem(fmt.Errorf("target %q has no cursor", text.Excerpt(name, 80)))
		}
	}
	if c.values != c.counts.values && c.counts.values != valuesUnknown {
		c.problem(fmt.Errorf("%d values of targets are there, and %d should be", c.values, c.counts.values))
	}
}
