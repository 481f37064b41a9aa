package large

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"agentctl/handler/backoff"
)

// errAbsent is the answer of a member that does not have an event.
var errAbsent = errors.New("it does not have it")

// errWrong is another payload than the one that was asked for.
var errWrong = errors.New("what it sent is another event")

// attempt tries once to get an event, and settles what comes of it.
func (b *Bodies) attempt(ctx context.Context, w *wait) {
	if b.cfg.Had(&w.Wanted) {
		b.done(w, resultArrived)
		return
	}
	last := !time.Now().Before(w.until)
	payload, asked, err := b.fetch(ctx, w, last)
	if err == nil {
		err = b.cfg.Take(ctx, &w.Wanted, payload)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		b.done(w, resultFetched)
	case b.cfg.Had(&w.Wanted):
		b.done(w, resultArrived)
	case last:
		b.forget(w)
		b.lose(&w.Wanted, fmt.Sprintf("nobody had it for %v: %d members were asked at last; %v", b.cfg.patience, asked, err))
	default:
		b.again(w)
	}
}

// fetch asks a few members, or with last more of them, until one has the event.
func (b *Bodies) fetch(ctx context.Context, w *wait, last bool) (payload []byte, asked int, err error) {
	most := askFew
	if last {
		most = askMany
	}
	err = errors.New("no other agent is known that could have it")
	members := slices.DeleteFunc(b.cfg.Holders(w.Origin), func(m string) bool { return slices.Contains(w.wrong, m) })
	for _, member := range members[:min(len(members), most)] {
		if ctx.Err() != nil {
			break
		}
		asked++
		if payload, err = b.ask(ctx, member, w); err == nil {
			return payload, asked, nil
		}
		if member == w.Origin && errors.Is(err, errAbsent) && b.deny(w) && !last {
			return nil, asked, fmt.Errorf("%s: %w", member, err) // others are asked later
		}
		err = fmt.Errorf("%s: %w", member, err)
	}
	return nil, asked, err
}

// ask asks one member.
func (b *Bodies) ask(ctx context.Context, member string, w *wait) ([]byte, error) {
	if err := b.asks.Wait(ctx); err != nil {
		return nil, err
	}
	answer, err := b.cfg.Ask(ctx, member, encodeRequest(w.id))
	var payload []byte
	ok := false
	if err == nil {
		payload, ok, err = decodeAnswer(answer)
	}
	result := askedHeld
	switch {
	case err != nil:
		result = askedFailed
	case !ok:
		result, err = askedAbsent, errAbsent
	case !w.Is(w.Name, payload):
		result, err = askedWrong, errWrong
		w.wrong = append(w.wrong, member)
		b.sampled.Log(slog.LevelWarn, "a large event that was fetched is not the one of its reference", refusalsEvery,
			"event", w.Name, "id", w.id, "member", member, "bytes", len(payload), "want", w.Size)
	}
	b.metrics.asked.WithLabelValues(result).Inc()
	b.metrics.in.Add(float64(len(payload)))
	if err != nil {
		b.cfg.Logger.Debug("a large event was not fetched", "event", w.Name, "id", w.id, "member", member, "error", err)
		return nil, cmp.Or(b.pay(ctx, len(answer)), err)
	}
	return payload, b.pay(ctx, len(answer))
}

// pay waits for the bytes that have come, so that it is never too much to pay.
func (b *Bodies) pay(ctx context.Context, n int) error {
	return b.bytes.WaitN(ctx, min(n, b.cfg.byteRate))
}

func (b *Bodies) done(w *wait, result string) {
	b.forget(w)
	b.metrics.events.WithLabelValues(result).Inc()
}

func (b *Bodies) forget(w *wait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(w)
}

// deny notes that the origin of an event does not have it, and reports whether that is
// news. Most likely somebody made the reference up, so it does not hold up others of that
// origin any more.
func (b *Bodies) deny(w *wait) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.origin == "" || b.waiting[w.id] != w {
		return false
	}
	b.leaveOrigin(w)
	w.origin = ""
	b.origins[""]++
	return true
}

// again has an event asked for later.
func (b *Bodies) again(w *wait) {
	b.mu.Lock()
	w.tries++
	pause := backoff.Backoff{Min: minWait, Max: maxWait}.Ceiling(w.tries)
	pause = pause/2 + time.Duration(b.cfg.rand.Int64N(int64(pause)/2+1))
	w.next, w.busy = time.Now().Add(min(pause, time.Until(w.until))), false
	b.mu.Unlock()
	b.poke()
}

// Handle answers a member's question. An error is for it to read.
func (b *Bodies) Handle(from string, req []byte) ([]byte, error) {
	id, err := decodeRequest(req)
	if err != nil {
		b.metrics.requests.WithLabelValues("refused").Inc()
		b.cfg.Logger.Debug("a question for a large event was refused", "member", from, "error", err)
		return nil, err
	}
	payload, ok := b.cfg.Held(id)
	result := askedAbsent
	if ok {
		result = askedHeld
	}
	b.metrics.requests.WithLabelValues(result).Inc()
	b.metrics.out.Add(float64(len(payload)))
	return encodeAnswer(payload, ok), nil
}
