package delivery

import (
	"net/http"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// An event that does not fit is buried with the reason, nothing of it comes to
// the target, and the next one does.
func TestMisfitIsBuried(t *testing.T) {
	asked := make(chan string, 10)
	srv := testkit.Serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.RequestURI })
	j := journal.New(journal.Config{})
	log := &testkit.LogBuffer{}
	d, err := New(Config{
		Target: target.Target{URL: srv.URL + "/cache/{{.key}}", Method: "DELETE", Timeout: time.Minute}, Journal: j, Logger: log.Logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	journals.MustAppend(t, j, handler.NewUser(1, "n", []byte(`{"kay":"a"}`), time.Now()), handler.NewUser(2, "n", []byte(`{"key":"b"}`), time.Now()))
	done := make(chan error, 1)
	go func() { done <- d.Run(t.Context()) }()
	if err := d.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Finish()
	if err := <-done; err != nil {
		t.Error(err)
	}
	testkit.Want(t, "asked", <-asked, "DELETE /cache/b")
	testkit.Want(t, "no more", len(asked), 0)
	const reason = "the event was not sent, as it does not fit this target: url: the event has no .key"
	buried := d.Buried()
	if len(buried) != 1 || buried[0].Reason != reason || buried[0].Status != 0 {
		t.Errorf("buried: %+v", buried)
	}
	lines := log.With(t, "event cannot be sent to this target")
	testkit.Want(t, "told", len(lines), 1)
	testkit.Want(t, "why", lines[0]["err"], any(reason))
}
