package rpc

import (
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// TestStockCommands has our client send every command to two agents of each release.
func TestStockCommands(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		// For questions to all members the profile wan has eight seconds.
		patient := []string{"-encrypt", proc.FirstKey, "-profile=wan"}
		if version != stock.V070 { // which has no such flag
			patient = append(patient, "-broadcast-timeout", "1m")
		}
		a := proc.NewStock(t, "a", version, append(patient, "-tag", "role=web", "-tag", "old=1")...)
		b := proc.NewStock(t, "b", version, patient...)
		ctx := t.Context()
		c := dial(t, a.RPC, "")

		if n, err := c.Join(ctx, []string{b.Gossip}, false); n != 1 || err != nil {
			t.Fatal("join:", n, err)
		}
		n, err := c.Join(ctx, []string{"127.0.0.1:1"}, false)
		wantKind(t, err, "remote")
		if n != 0 {
			t.Error("join of nobody:", n)
		}
		members, err := c.Members(ctx)
		if err != nil || len(members) != 2 {
			t.Fatal("members:", members, err)
		}
		members, err = c.MembersFiltered(ctx, wire.MembersFilteredRequest{
			Tags: map[string]string{"role": "w.b"}, Status: "alive", Name: "a"})
		if err != nil || len(members) != 1 || members[0].Name != "a" || members[0].Tags["old"] != "1" ||
			fmt.Sprintf("%s:%d", members[0].Addr, members[0].Port) != a.Gossip {
			t.Error("members-filtered:", members, err)
		}
		if err := c.UpdateTags(ctx, map[string]string{"new": "2"}, []string{"old"}); err != nil {
			t.Error("tags:", err)
		}
		members, err = c.MembersFiltered(ctx, wire.MembersFilteredRequest{Name: "a"})
		if want := map[string]string{"role": "web", "new": "2"}; err != nil || !maps.Equal(members[0].Tags, want) {
			t.Error("tags after update:", members, err)
		}

		if r, err := c.InstallKey(ctx, proc.SecondKey); err != nil || r.NumNodes != 2 || r.NumResp != 2 || r.NumErr != 0 {
			t.Error("install-key:", r, err)
		}
		if _, err := c.UseKey(ctx, proc.SecondKey); err != nil {
			t.Error("use-key:", err)
		}
		if _, err := c.RemoveKey(ctx, proc.FirstKey); err != nil {
			t.Error("remove-key:", err)
		}
		if r, err := c.ListKeys(ctx); err != nil || !maps.Equal(r.Keys, map[string]int{proc.SecondKey: 2}) {
			t.Error("list-keys:", r, err)
		}
		r, err := c.UseKey(ctx, proc.FirstKey) // which is not installed any more
		wantKind(t, err, "remote")
		if r.NumErr != 2 || len(r.Messages) != 2 {
			t.Error("use-key of an unknown key:", r)
		}

		stats, err := c.Stats(ctx)
		if err != nil || stats["serf"]["members"] != "2" {
			t.Error("stats:", stats, err)
		}
		coord, ok, err := c.Coordinate(ctx, "a")
		if err != nil || !ok || len(coord.Vec) == 0 || coord.Height <= 0 {
			t.Error("get-coordinate:", coord, ok, err)
		}
		if _, ok, err := c.Coordinate(ctx, "nobody"); ok || err != nil {
			t.Error("get-coordinate of nobody:", ok, err)
		}
		if err := c.ForceLeave(ctx, "b", false); err != nil {
			t.Error("force-leave:", err)
		}
		wantKind(t, c.Respond(ctx, 99, nil), "remote", rpcclient.ErrInvalidQueryID)

		if err := c.Leave(ctx); err != nil {
			t.Error("leave:", err)
		}
		<-c.Done() // the agent shuts down
		wantKind(t, event(ctx, c), "not sent")
	})
}

func TestStockStreamAndQuery(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		a := proc.NewStock(t, "a", version)
		ctx := t.Context()
		c, other := dial(t, a.RPC, ""), dial(t, a.RPC, "")

		for round := range 3 { // each leaves the connection usable for the next
			records, err := c.Stream(ctx, "user:wanted,query")
			if err != nil {
				t.Fatal(err)
			}
			// A stock agent subscribes after it has answered: until it
			// answers something else, it may not have done so.
			if _, err := c.Stats(ctx); err != nil {
				t.Fatal(err)
			}
			long := strings.Repeat("p", 300) // longer than a fixed-size string's 31 and a short one's 255
			for _, name := range []string{"unwanted", "wanted"} {
				if err := other.Event(ctx, name, fmt.Append(nil, round, long), false); err != nil {
					t.Fatal(err)
				}
			}
			var answers iter.Seq2[wire.QueryRecord, error]
			for rec, err := range records {
				if err != nil {
					t.Fatal(err)
				}
				if rec.Event == "query" {
					if rec.Name != "q" || string(rec.Payload) != "?" {
						t.Errorf("%+v", rec)
					}
					if err := c.Respond(ctx, rec.ID, []byte("!")); err != nil {
						t.Error(err)
					}
					break
				}
				if rec.Event != "user" || rec.Name != "wanted" || string(rec.Payload) != fmt.Sprint(round, long) || rec.LTime == 0 {
					t.Fatalf("%+v", rec)
				}
				answers, err = other.Query(ctx, wire.QueryRequest{Name: "q", Payload: []byte("?"), RequestAck: true, Timeout: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]string{}
			for r, err := range answers {
				if err != nil {
					t.Fatal(err)
				}
				got[r.Type+" from "+r.From] = string(r.Payload)
				if len(got) == 2 { // nothing else may come
					break
				}
			}
			if want := map[string]string{"ack from a": "", "response from a": "!"}; !maps.Equal(got, want) {
				t.Errorf("query: %v", got)
			}
			// One that nobody answers ends at its deadline.
			silence, err := other.Query(ctx, wire.QueryRequest{Name: "q", FilterNodes: []string{"nobody"}, RequestAck: true, Timeout: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range silence {
				t.Errorf("a query to nobody is answered: %+v, %v", r, err)
			}
		}
		_, err := c.Stream(ctx, "nonsense")
		wantKind(t, err, "remote", rpcclient.ErrInvalidFilter)
	})
}

func TestStockMonitor(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		c := dial(t, proc.NewStock(t, "a", version).RPC, "")
		_, err := c.Monitor(t.Context(), "loud")
		wantKind(t, err, "remote")
		for range 2 {
			lines, err := c.Monitor(t.Context(), "debug")
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Monitor(t.Context(), "debug")
			wantKind(t, err, "remote", rpcclient.ErrMonitorExists)
			for line, err := range lines {
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(line, "Accepted client") {
					break
				}
			}
		}
	})
}

func TestStockAuth(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		config := filepath.Join(t.TempDir(), "rpc.json")
		testkit.WriteTo(t, config, `{"rpc_auth":"secret"}`)
		a := proc.NewStock(t, "a", version, "-config-file", config)
		if err := event(t.Context(), dial(t, a.RPC, "secret")); err != nil {
			t.Error(err)
		}
		_, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: a.RPC, AuthKey: "guess"})
		wantKind(t, err, "remote", rpcclient.ErrInvalidAuthToken)

		// The agent answers these bodies as well, as if they were requests.
		c := dial(t, a.RPC, "")
		for range 3 {
			wantKind(t, event(t.Context(), c), "remote", rpcclient.ErrAuthRequired)
			_, err := c.Join(t.Context(), []string{"x"}, false)
			wantKind(t, err, "remote", rpcclient.ErrAuthRequired)
			_, err = c.Members(t.Context())
			wantKind(t, err, "remote", rpcclient.ErrAuthRequired)
			_, err = c.Stream(t.Context(), "*")
			wantKind(t, err, "remote", rpcclient.ErrAuthRequired)
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

func TestStockErrors(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		a := proc.NewStock(t, "a", version)
		c := dial(t, a.RPC, "")
		wantKind(t, c.Event(t.Context(), "big", make([]byte, 1<<20), false), "remote")
		_, err := c.ListKeys(t.Context()) // an agent without encryption
		wantKind(t, err, "remote")
		_, err = c.MembersFiltered(t.Context(), wire.MembersFilteredRequest{Name: "a["})
		wantKind(t, err, "lost")
		if !strings.Contains(err.Error(), "check the filter") {
			t.Error(err)
		}
	})
}

// TestStockManyPublishers has one publisher serve eight callers at once.
func TestStockManyPublishers(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: proc.NewStock(t, "a", version).RPC}})
		defer p.Close()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 50 {
					if err := p.Publish(t.Context(), fmt.Sprint(i, "-", n), nil, false); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}
