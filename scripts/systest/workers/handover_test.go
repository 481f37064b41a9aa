//go:build unix

package workers

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"agentctl/scripts/testkit"
)

// traced is an event as a worker has handled it.
type traced struct {
	ID           int
	Type, Entity string
	Source       string
	Pid          int
	Unique       bool
}

// TestNginxHandover keeps some workers busy while events come to the others: each
// worker handles each event once, in order; each unique one is handled by one
// worker; and each knows who posted it.
func TestNginxHandover(t *testing.T) {
	const posters = 4
	each := testkit.Setting(t, "AGENTCTL_TEST_NGINX_EVENTS", 40, 100)
	n, _ := soloNode(t)
	if err := n.pool.fill(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var busy, posting sync.WaitGroup
	for _, w := range n.pool.workers[:2] {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a, err := w.do("POST", "/-/busy?ms=100"); err != nil || a.status != http.StatusNoContent {
					t.Errorf("busy: %v, %d", err, a.status)
					return
				}
			}
		})
	}
	for p := range posters {
		posting.Go(func() {
			for i := range each {
				body := fmt.Sprintf(`{"type":"ENTITY_DELETED","collection":"apis","entity":{"id":"%d-%d","path":"/a"}}`, p, i)
				a, err := request("POST", "http://"+n.admin+"/cluster/events/", body)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("event %d-%d: %v, %d: %s", p, i, err, a.status, a.body)
				}
			}
		})
	}
	posting.Wait()
	close(stop)
	busy.Wait()

	pids := map[int]bool{}
	for _, w := range n.pool.workers {
		pids[w.state.Pid] = true
		testkit.WaitFor(t, fmt.Sprintf("worker %d has handled all", w.state.Worker), func() bool {
			var now workerState
			err := w.look("/-/worker", &now) // which does not poll: the worker has to do it by itself
			return err == nil && now.Last >= 2*posters*each
		})
	}
	unique, ids := map[string]int{}, map[string]int{}
	for _, w := range n.pool.workers {
		once, err := checkTrace(w, pids, posters*each)
		if err != nil {
			t.Errorf("worker %d: %v", w.state.Worker, err)
		}
		for entity, id := range once.unique {
			unique[entity]++
			if ids[entity] = id; unique[entity] > 1 {
				t.Errorf("the unique event for %s was handled twice", entity)
			}
		}
	}
	if len(unique) != posters*each {
		t.Errorf("%d unique events were handled, want %d", len(unique), posters*each)
	}
}

// handled are the events that one worker has handled, by entity.
type handled struct{ shared, unique map[string]int }

// checkTrace reads what a worker has handled. Each event has to be there once, in
// order, and posted by one of the workers.
func checkTrace(w *nginxWorker, pids map[int]bool, want int) (handled, error) {
	h := handled{map[string]int{}, map[string]int{}}
	var trace struct{ Data []traced }
	if err := w.look("/-/trace", &trace); err != nil {
		return h, err
	}
	var errs []error
	last := 0
	for _, e := range trace.Data {
		kind := h.shared
		if e.Unique {
			kind = h.unique
		}
		if kind[e.Entity] != 0 {
			errs = append(errs, fmt.Errorf("%s was handled twice, as %d and %d", e.Entity, kind[e.Entity], e.ID))
		}
		kind[e.Entity] = e.ID
		if e.ID <= last {
			errs = append(errs, fmt.Errorf("event %d came after %d", e.ID, last))
		}
		last = e.ID
		if !pids[e.Pid] || e.Source != "cluster" {
			errs = append(errs, fmt.Errorf("event %d is from %q, process %d", e.ID, e.Source, e.Pid))
		}
	}
	if len(h.shared) != want {
		errs = append(errs, fmt.Errorf("%d events were handled, want %d", len(h.shared), want))
	}
	var now workerState
	if err := w.look("/-/worker", &now); err != nil || now.Gaps != 0 {
		errs = append(errs, fmt.Errorf("%d gaps, %v", now.Gaps, err))
	}
	return h, errors.Join(errs...)
}
