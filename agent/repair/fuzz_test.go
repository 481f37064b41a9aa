package repair

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

var someRequests = []request{
	&compareRequest{from: 7, age: 1 << 40, incarnation: 3, seq: 9, known: []journal.Digest{{}, {Count: 2, Hi: 3, Lo: 4}}},
	&digestsRequest{[]span{{0, 0}, {5, math.MaxUint64}}},
	&idsRequest{[]span{{1, 2}}, 8, journal.LTimePos{LTime: 1, Seq: 2}},
	&eventsRequest{[]string{"1-0123456789abcdef", ""}},
	&recordRequest{3, [recordLevels - 1]uint64{64, 4096}},
}

var someAnswers = []answer{
	&compareAnswer{origin{1, 2}, 3, 4, 5, true, journal.Digest{Count: 1, Hi: 2, Lo: 3}, true, true},
	&digestsAnswer{origin{1, 2}, []journal.Digest{{}, {Count: 1, Hi: 2, Lo: 3}}},
	&idsAnswer{origin{1, 2}, true, []listedID{{journal.LTimePos{LTime: 1, Seq: 2}, "id"}}},
	&eventsAnswer{origin{1, 2}, 3, []wireEvent{{4, "name", "payload"}}},
	&recordAnswer{origin{1, 2}, 3, true, vouched{span{4, 5}, journal.Digest{Count: 1, Hi: 2, Lo: 3}, []string{"id"}}},
}

func emptyAnswers() []answer {
	return []answer{&compareAnswer{}, &digestsAnswer{}, &idsAnswer{}, &eventsAnswer{}, &recordAnswer{}}
}

func TestMessagesComeBack(t *testing.T) {
	for _, want := range someRequests {
		if got, err := decodeRequest(encodeRequest(want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	for i, got := range emptyAnswers() {
		if err := decodeAnswer(encodeAnswer(someAnswers[i]), got); err != nil || !reflect.DeepEqual(got, someAnswers[i]) {
			t.Errorf("%+v, %v, want %+v", got, err, someAnswers[i])
		}
	}
}

// Both sides cut a range alike, into parts that are all of it.
func TestSplit(t *testing.T) {
	for _, s := range []span{{0, 0}, {3, 4}, {0, 15}, {0, 16}, {1, 33}, {100, 1 << 40}, {0, math.MaxUint64}, {math.MaxUint64, math.MaxUint64}, {math.MaxUint64 - 20, math.MaxUint64}} {
		parts := split(s)
		next := s[0]
		for _, p := range parts {
			if p[0] != next || p[1] < p[0] {
				t.Fatalf("%v: %v", s, parts)
			}
			next = p[1] + 1
		}
		if len(parts) > fanOut || parts[len(parts)-1][1] != s[1] {
			t.Errorf("%v: %v", s, parts)
		}
	}
}

// FuzzRequest: what is taken for a request is one, is within the limits, and is
// answered.
func FuzzRequest(f *testing.F) {
	for _, m := range someRequests {
		f.Add(encodeRequest(m))
	}
	store := journal.New(journal.Config{})
	for i := range uint64(100) {
		if err := store.Append(handler.NewUser(i*i, "e", []byte("p"), handler.Event{}.Time)); err != nil {
			f.Fatal(err)
		}
	}
	cfg := config()
	cfg.Store = store
	r, err := New(f.Context(), cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeRequest(b)
		if err != nil {
			return
		}
		if again, err := decodeRequest(encodeRequest(m)); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v comes back as %+v, %v", m, again, err)
		}
		if m, ok := m.(*digestsRequest); ok && len(m.spans) > maxRanges {
			t.Fatalf("%d ranges", len(m.spans))
		}
		answer, err := r.Handle(t.Context(), "peer", b)
		if err != nil || len(answer) > pageBytes {
			t.Fatalf("answered with %d bytes, %v", len(answer), err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, m := range someAnswers {
		f.Add(encodeAnswer(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, m := range emptyAnswers() {
			if decodeAnswer(b, m) != nil {
				continue
			}
			if again := emptyAnswers()[i]; decodeAnswer(encodeAnswer(m), again) != nil || !reflect.DeepEqual(again, m) {
				t.Fatalf("%+v comes back as %+v", m, again)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	c := &record{}
	c.begin(100)
	for i := range uint64(300) {
		c.addEvent(stray{90 + i, i + 1, fmt.Sprint(i)})
	}
	c.past.add(time.UnixMilli(7), 300)
	f.Add(c.encode(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, own, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, id, err := decodeRecord(c.encode(own))
		if err != nil || id != own || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v comes back as %+v, %v", c, again, err)
		}
	})
}

func FuzzState(f *testing.F) {
	st := newState()
	st.newIncarnation(3, config().withDefaults().rand)
	st.meet("peer", watermark{7, 5}, journal.Digest{}, time.UnixMilli(1))
	f.Add(st.encode())
	st.pending = "a reason"
	f.Add(st.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if err != nil {
			return
		}
		again, err := decodeState(st.encode())
		if err != nil || !reflect.DeepEqual(again, st) {
			t.Fatalf("%+v comes back as %+v, %v", st, again, err)
		}
	})
}
