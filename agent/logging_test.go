package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// Lines name the event, the target and the attempt; only debug lines have of the
// payload, the beginning, and nothing in it that a terminal would act on. A
// monitor gets all of them, whatever the output's level.
func TestLogsOfADelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		out := new(testkit.LogBuffer)
		hub := logs.New(logs.Config{Out: out, Format: "json", Level: slog.LevelDebug})
		t.Cleanup(hub.Close)
		a, err := newOn(t, compiled(t, options(func(o *config.Options) {
			o.EventHandlers = nil
			o.Targets = []config.TargetOptions{{Name: "gw", URL: gw.URL, Events: "user:kong"}}
		})), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var monitored []string
		defer hub.Subscribe(slog.LevelDebug, func(line string) {
			mu.Lock()
			defer mu.Unlock()
			monitored = append(monitored, line)
		})()
		n := run(t, a, out)
		const begin = "s3cret\x1b[31m\n"
		publishTo(t, n, begin+strings.Repeat("x", 400))
		testkit.WaitFor(t, "an attempt that fails", func() bool { return n.Targets()[0].Attempts > 0 })
		hub.SetLevel(slog.LevelInfo) // from here on the output gets no debug lines
		gw.Down.Store(false)
		testkit.WaitFor(t, "the delivery", func() bool { return n.Targets()[0].Delivered == 1 })
		id := gw.Of("user")[0].ID
		taken := func() (line string) {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range monitored {
				if strings.Contains(l, "target took an event") {
					line = l
				}
			}
			return line
		}
		testkit.WaitFor(t, "the line at the monitor", func() bool { return taken() != "" })
		for _, part := range []string{"[DEBUG] agent: ", "target=gw", "event=" + id, "attempt=", "status=200", `s3cret\x1b[31m\nxxx`, "..."} {
			if !strings.Contains(taken(), part) {
				t.Errorf("the monitor's line has no %s: %s", part, taken())
			}
		}
		if strings.Count(taken(), "x") > 250 || strings.ContainsRune(taken(), '\x1b') {
			t.Errorf("the monitor's line has too much of the payload: %s", taken())
		}
		hub.Close() // the output has all lines
		fails := 0
		for _, line := range out.Lines(t) {
			if strings.Contains(line["msg"].(string), "target fails") {
				fails++
				if line["event"] != id || line["target"] != "gw" || line["attempts"] != 1.0 || line["level"] != "INFO" {
					t.Errorf("of the failure: %v", line)
				}
			}
			if text, _ := json.Marshal(line); line["level"] != "DEBUG" && strings.Contains(string(text), "s3cret") {
				t.Errorf("a payload above debug: %s", text)
			}
		}
		if fails != 1 {
			t.Errorf("the first failure is told %d times:\n%s", fails, out)
		}
		if strings.Contains(out.String(), "target took an event") {
			t.Error("the output has a debug line, at info")
		}
	})
}

// A delivery makes no line that neither the output nor a monitor wants, so a busy
// target does not fill the recent lines with its deliveries either.
func TestDeliveriesAreLoggedOnlyForWhoeverListens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		hub := logs.New(logs.Config{Out: new(testkit.LogBuffer), Level: slog.LevelInfo})
		t.Cleanup(hub.Close)
		delivered := make(chan struct{}, 100)
		a, err := newOn(t, compiled(t, options(handlers("user:kong="+gw.URL))), hub, Hooks{
			Attempted: func(_ string, _ handler.Event, err error, _ time.Duration) {
				if err == nil {
					delivered <- struct{}{}
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, new(testkit.LogBuffer))
		// monitored publishes events, and counts their lines at a monitor: of those
		// before it subscribes, and since.
		monitored := func(level slog.Level, payloads ...string) (before, since int) {
			var mu sync.Mutex
			lines := 0
			count := func() int {
				mu.Lock()
				defer mu.Unlock()
				return lines
			}
			defer n.hub.Subscribe(level, func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(line, "target took an event") {
					lines++
				}
			})()
			before = count()
			for _, p := range payloads {
				publishTo(t, n, p)
				<-delivered // after its line
			}
			return before, count() - before
		}
		publishTo(t, n, "unheard")
		<-delivered
		for i, want := range [][2]int{{0, 0}, {0, 2}, {2, 0}} {
			level := []slog.Level{slog.LevelInfo, slog.LevelDebug, slog.LevelWarn}[i]
			before, since := monitored(level, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
			if got := [2]int{before, since}; got != want {
				t.Errorf("%v: a monitor got lines of %v deliveries before it and since, want %v", level, got, want)
			}
		}
	})
}

// What a client asks for is in the log only up to a size: the log keeps recent lines.
func TestWhatClientsAskForIsLoggedInPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hub := logs.New(logs.Config{Out: new(testkit.LogBuffer), Format: "serf", Level: slog.LevelError})
		t.Cleanup(hub.Close)
		a, err := newOn(t, compiled(t, options(func(o *config.Options) { o.AsSerf, o.MaxEventSize = true, 0 })), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, new(testkit.LogBuffer))
		long := strings.Repeat("x", 1<<20)
		_, err = n.PublishReport(t.Context(), long, []byte(long), false)
		if want := "user event exceeds configured limit of 512 bytes before encoding"; err == nil || err.Error() != want {
			t.Errorf("publishing: %v, want %s", err, want)
		}
		if _, err := n.Query(long, []byte(long), &serf.QueryParam{}); err == nil {
			t.Error("a query of 2 MiB was sent")
		}
		if err := n.ForceLeave(long, false); err != nil {
			t.Error(err)
		}
		if _, err := n.Join([]string{"127.0.0.1:1/" + long, long}, false); err == nil {
			t.Error("an address of 1 MiB was joined")
		}
		said := map[string]bool{"Requesting user event send": false, "Requesting query send": false, "Force leaving node": false, "joining: [": false}
		hub.Subscribe(logs.LevelTrace, func(line string) {
			for part := range said {
				said[part] = said[part] || strings.Contains(line, part)
			}
			if strings.Contains(line, " agent: ") && len(line) > 20<<10 {
				t.Errorf("a line of %d bytes: %.100s", len(line), line)
			}
		})()
		for part, found := range said {
			if !found {
				t.Errorf("no line has %q", part)
			}
		}
	})
}
