package repair

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"agentctl/handler"
	"agentctl/handler/journal"
)

func TestRefusals(t *testing.T) {
	cfg := config()
	store := journal.New(journal.Config{})
	cfg.Store = store
	r := newRepair(t, cfg)
	compare := encodeRequest(&compareRequest{})
	_, err := r.Handle(t.Context(), "peer", append([]byte{version + 1}, compare[1:]...))
	if v, ok := errors.AsType[*versionError](err); !ok || v.got != version+1 {
		t.Errorf("a newer request: %v", err)
	}
	for _, bad := range [][]byte{nil, {version}, {version, 99}, compare[:len(compare)-1]} {
		if _, err := r.Handle(t.Context(), "peer", bad); !errors.Is(err, errMalformed) {
			t.Errorf("% x: %v", bad, err)
		}
	}
	for range r.cfg.maxRequests {
		r.handling <- struct{}{}
	}
	if _, err := r.Handle(t.Context(), "peer", compare); err != errBusy {
		t.Errorf("one too many: %v", err)
	}
	<-r.handling
	if _, err := r.Handle(t.Context(), "peer", compare); err != nil {
		t.Error(err)
	}
	store.Close()
	for _, m := range []request{&compareRequest{}, &digestsRequest{[]span{{0, 1}}}, &idsRequest{spans: []span{{0, 1}}}, &eventsRequest{}} {
		if _, err := r.Handle(t.Context(), "peer", encodeRequest(m)); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("a closed journal, %T: %v", m, err)
		}
	}
}

// What a peer may not answer ends the comparison, and is no reason to believe
// that nothing is lacking.
func TestAnswersThatAreWrong(t *testing.T) {
	good := &compareAnswer{origin: origin{incarnation: 5}, head: 9, newest: 9, digest: journal.Digest{Count: 1}}
	ids := &idsAnswer{origin: origin{incarnation: 5}, ids: []listedID{{id: "9-x"}}}
	for name, answers := range map[string][]answer{
		"too few digests":         {good, &digestsAnswer{origin: origin{incarnation: 5}}},
		"another incarnation":     {good, &digestsAnswer{origin: origin{incarnation: 6}, digests: make([]journal.Digest, 9)}},
		"an endless list":         {late(good), &idsAnswer{origin: origin{incarnation: 5}, more: true}},
		"no progress":             {late(good), ids, &eventsAnswer{origin: origin{incarnation: 5}}},
		"more than asked for":     {late(good), ids, &eventsAnswer{origin: origin{incarnation: 5}, done: 2}},
		"an event not asked for":  {late(good), ids, &eventsAnswer{origin: origin{incarnation: 5}, done: 1, events: []wireEvent{{9, "e", ""}}}},
		"an answer of other kind": {ids},
		"trimmed above the head":  {&compareAnswer{origin: origin{5, 10}, head: 9}},
		"compared above the head": {&compareAnswer{origin: origin{incarnation: 5}, head: 9, watermark: 10}},
		"trimmed above it later":  {&compareAnswer{origin: origin{incarnation: 5}, head: 9, late: true, same: true}, &idsAnswer{origin: origin{5, 1 << 50}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.Ask = func(context.Context, string, []byte) ([]byte, error) {
				if len(answers) == 0 {
					return nil, errUnreachable
				}
				a := answers[0]
				answers = answers[1:]
				return encodeAnswer(a), nil
			}
			r := newRepair(t, cfg)
			r.state.base = 1
			_, err := r.attempt(t.Context(), "peer")
			if err == nil || err == errUnreachable || len(r.state.peers) > 0 {
				t.Errorf("%v, watermarks %v", err, r.state.watermarks(r.state.kept()))
			}
		})
	}
}

func late(a *compareAnswer) *compareAnswer {
	b := *a
	b.late = true
	return &b
}

// What was taken and did not come into the journal counts as lacking.
func TestTakeThatLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t.Context())
		n, p := c.add(10), c.add(10)
		c.tell(1, p)
		n.rep.cfg.Take = func(context.Context, []handler.Event) error { return nil }
		if _, err := n.rep.attempt(c.ctx, p.name); err == nil || len(n.rep.state.peers) > 0 {
			t.Errorf("%v, watermarks %v", err, n.rep.state.watermarks(n.rep.state.kept()))
		}
	})
}
