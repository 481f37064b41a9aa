package delegate

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesComeBack(t *testing.T) {
	t.Parallel()
	r := request{path: 1, level: 1, wait: 750 * time.Millisecond, question: []byte("q"), names: []string{"a", "", "b"}}
	got, err := decodeRequest(r.encode(version))
	if diff := cmp.Diff(r, got, cmp.AllowUnexported(request{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	same := []byte(`{"known":true}`)
	answers := []*Answer{{same, []byte("1")}, nil, {same, []byte("2")}, {[]byte("other"), nil}}
	raw := encodeReply(version, answers)
	back, err := decodeReply(version, raw, len(answers))
	if err != nil || len(back) != 4 || back[1] != nil || !bytes.Equal(back[2].Shared, same) || string(back[2].Own) != "2" || string(back[3].Shared) != "other" {
		t.Errorf("%+v, %v", back, err)
	}
	if n := bytes.Count(raw, same); n != 1 {
		t.Errorf("what two have said alike is there %d times", n)
	}
}

// A reply has no more bytes than it may, and what does not fit counts as not reached.
func TestRepliesAreBounded(t *testing.T) {
	t.Parallel()
	var answers []*Answer
	for i := range maxNames {
		answers = append(answers, &Answer{Shared: bytes.Repeat([]byte{byte(i)}, 1+i%maxShared), Own: make([]byte, 300)})
	}
	answers[0] = &Answer{Shared: make([]byte, maxShared+1)}
	answers[1] = &Answer{Own: make([]byte, maxOwn+1)}
	raw := encodeReply(version, answers)
	back, err := decodeReply(version, raw, len(answers))
	if err != nil || len(raw) > maxReply || len(raw) < maxReply/2 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	if back[0] != nil || back[1] != nil || back[2] == nil || slices.Index(back[2:], nil) < 0 {
		t.Error("an answer that is too long is there, or all are, or none")
	}
	for i, a := range back {
		if a != nil && (!bytes.Equal(a.Shared, answers[i].Shared) || !bytes.Equal(a.Own, answers[i].Own)) {
			t.Errorf("answer %d is another one", i)
		}
	}
}

// A short reply does not stand for many long answers: whoever reads it may keep each.
func TestAReplyIsNoLongerThanItLooks(t *testing.T) {
	t.Parallel()
	long := &Answer{Shared: make([]byte, maxShared)}
	answers := slices.Repeat([]*Answer{long}, 100)
	back, err := decodeReply(version, encodeReply(version, answers), len(answers))
	if err != nil || back[0] == nil || slices.Index(back, nil) != maxAnswers/maxShared {
		t.Errorf("%v; the first that is left out is %d", err, slices.Index(back, nil))
	}
	hostile := encodeReply(version, []*Answer{long})
	for range 99 {
		hostile = append(hostile, 1, 0) // the first text, and nothing of its own
	}
	if _, err := decodeReply(version, hostile, 100); err == nil {
		t.Error("a hundred long answers are taken")
	}
}

func FuzzRequest(f *testing.F) {
	r := request{path: 1, wait: longest, question: []byte("q"), names: []string{"a", "b"}}
	f.Add(r.encode(version))
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err != nil {
			return
		}
		again, err := decodeRequest(r.encode(version))
		if diff := cmp.Diff(r, again, cmp.AllowUnexported(request{})); err != nil || diff != "" {
			t.Errorf("%v (-first +again):\n%s", err, diff)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add(encodeReply(version, []*Answer{{[]byte("a"), nil}, nil, {[]byte("a"), []byte("b")}}), 3)
	f.Add([]byte(strings.Repeat("\xff", 40)), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = min(max(n, 0), maxNames)
		answers, err := decodeReply(version, b, n)
		if err != nil {
			return
		}
		if len(answers) != n {
			t.Fatalf("%d answers to %d names", len(answers), n)
		}
		again, err := decodeReply(version, encodeReply(version, answers), n)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			if (a == nil) != (again[i] == nil) || a != nil && (!bytes.Equal(a.Shared, again[i].Shared) || !bytes.Equal(a.Own, again[i].Own)) {
				t.Errorf("answer %d: %+v, then %+v", i, a, again[i])
			}
		}
	})
}
