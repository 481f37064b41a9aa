package gossip

import (
	"bytes"
	"fmt"
	"go/build"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// Random packets do not fill the log, by either name.
func TestRandomPacketsDoNotFillTheLog(t *testing.T) {
	for name, most := range map[string]int{"agentctl": strangersMost, "serf": strangersAsSerf} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Minute) }) // probes that are under way
				network := memnet.New(memnet.Config{})
				text := new(testkit.LogBuffer)
				conf := bareConfig(network, "one", "10.0.0.1:7946", nil)
				conf.Logger = thinStrangers(log.New(text, "", 0), most)
				conf.MemberlistConfig.Logger = conf.Logger
				openBare(t, Config{Serf: conf})
				stranger := network.Add("10.0.0.9:1")
				random := rand.NewChaCha8([32]byte{})
				for i := range 50_000 {
					packet := make([]byte, 1+i%80)
					random.Read(packet)
					if _, err := stranger.WriteToAddress(packet, memberlist.Address{Addr: "10.0.0.1:7946"}); err != nil {
						t.Fatal(err)
					}
					if i%500 == 0 { // memnet, too, loses packets that nobody reads
						synctest.Wait()
					}
				}
				synctest.Wait()
				kinds := map[string]int{}
				for line := range strings.Lines(text.String()) {
					if strings.HasPrefix(line, "[ERR]") || strings.HasPrefix(line, "[WARN]") {
						kinds[strangerLine([]byte(line))]++
					}
				}
				if len(kinds) < 5 {
					t.Errorf("random packets led to %v: too little was tried", kinds)
				}
				full := false
				for kind, n := range kinds {
					if n > most || kind == "" {
						t.Errorf("%d lines of the kind %q", n, kind)
					}
					full = full || n == most
				}
				if !full {
					t.Errorf("no limit was reached: %v", kinds)
				}
				time.Sleep(strangersInterval)
				stranger.WriteToAddress([]byte{255}, memberlist.Address{Addr: "10.0.0.1:7946"})
				synctest.Wait()
				if !strings.Contains(text.String(), "such lines left out)") {
					t.Error("nothing tells how many lines were left out")
				}
			})
		})
	}
}

// Whoever can forge what members say can have them join, change and fail as fast as packets
// come. The log gets some lines a minute of each, so that those of an honest cluster show.
func TestForgedMembersDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // probes that are under way
		const forged = 1000                           // of each kind
		network := memnet.New(memnet.Config{})
		text := new(testkit.LogBuffer)
		conf := bareConfig(network, "one", "10.0.0.1:7946", nil)
		conf.Logger = thinStrangers(log.New(text, "", 0), strangersMost)
		conf.MemberlistConfig.Logger = conf.Logger
		openBare(t, Config{Serf: conf})
		stranger := network.Add("10.0.0.9:1")
		send := func(kind byte, body any) {
			raw := bytes.NewBuffer([]byte{kind})
			if err := codec.NewEncoder(raw, &codec.MsgpackHandle{}).Encode(body); err != nil {
				t.Fatal(err)
			}
			if _, err := stranger.WriteToAddress(raw.Bytes(), memberlist.Address{Addr: "10.0.0.1:7946"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		const alive, dead = 4, 5 // memberlist's types
		type aliveMessage struct {
			Incarnation uint32
			Node        string
			Addr        []byte
			Port        uint16
			Meta, Vsn   []byte
		}
		type deadMessage struct {
			Incarnation uint32
			Node, From  string
		}
		vsn := []byte{1, 5, 5, 2, 5, 4}
		for i := range uint32(forged) {
			send(alive, aliveMessage{1, fmt.Sprint("ghost-", i), []byte{10, 0, 0, 8}, 1, nil, vsn})
			send(alive, aliveMessage{1 + i, "ghost", []byte{10, 0, 0, 8}, 1, fmt.Appendf(nil, "\xff\x81\xa1t\xa4%04d", i), vsn})
			send(dead, deadMessage{2, fmt.Sprint("ghost-", i), "stranger"})
		}
		got := map[string]int{}
		for line := range strings.Lines(text.String()) {
			if kind := strangerLine([]byte(line)); kind != "" {
				got[kind]++
			}
		}
		for _, kind := range []string{"serf: EventMemberJoin", "serf: EventMemberUpdate", "serf: EventMemberFailed"} {
			if n := got[kind]; n != membersMost {
				t.Errorf("%d lines of %d changes of the kind %q, want %d", n, forged, kind, membersMost)
			}
		}
		if n := strings.Count(text.String(), "\n"); n > 10*membersMost {
			t.Errorf("%d lines in all", n)
		}
	})
}

// Lines that strangers do not cause are not thinned, nor are those whose text only
// quotes such a line.
func TestLinesOfOurOwnAreNotThinned(t *testing.T) {
	t.Parallel()
	text := new(testkit.LogBuffer)
	logger := thinStrangers(log.New(text, "p ", 0), 1)
	lines := []string{
		"[INFO] agentctl: a name: [ERR] memberlist: Decrypt packet failed 10.0.0.1",
		"[INFO] memberlist: Suspect memberlist: Refuting has failed, no acks received",
		overflowLine + "from=10.0.0.1:1",
		"a line without a level",
	}
	for range 3 {
		for _, line := range lines {
			logger.Print(line)
		}
	}
	if want := strings.Repeat("p "+strings.Join(lines, "\np ")+"\n", 3); text.String() != want {
		t.Errorf("the log is\n%s", text)
	}
}

// causedHere are complaints in the files that read what others send, which others
// cannot cause by it.
var causedHere = map[string]string{
	"memberlist: Failed to compress payload: %v":     "of what this node sends",
	"memberlist: Failed to parse address %q: %v":     "likewise",
	"memberlist: Encryption of message failed: %v":   "likewise",
	"memberlist: Failed to encrypt local state: %v":  "likewise",
	"memberlist: Error accepting TCP connection: %v": "memberlist pauses after it",
	"memberlist: Error reading UDP packet: %v":       "of the socket",
	"memberlist: %v %s":                              "its beginnings are those of labels' errors",
	"serf: Failed to encode local state: %v":         "of what this node sends",
	"serf: Failed to encode coordinate: %v\n":        "likewise",
}

var complaint = regexp.MustCompile(`(?s)Printf\(\s*("\[(?:ERR|ERROR|WARN)\] .*?")[,)]`)

// Each complaint of the files that read what others send has its kind, and each kind is
// the beginning of a line that there is.
func TestStrangersLinesAreTheLibraries(t *testing.T) {
	t.Parallel()
	var all []string
	var sources string
	for _, where := range []struct {
		path  string
		files []string // in which every complaint is a stranger's, or has its reason
		also  []string
	}{
		{"github.com/hashicorp/memberlist", []string{"net.go", "net_transport.go"}, []string{"state.go", "label.go"}},
		{"github.com/hashicorp/serf/serf", []string{"delegate.go", "ping_delegate.go"}, []string{"serf.go", "internal_query.go"}},
	} {
		pkg, err := build.Import(where.path, ".", build.FindOnly)
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range append(where.files, where.also...) {
			source, err := os.ReadFile(filepath.Join(pkg.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			sources += string(source)
			found := complaint.FindAllStringSubmatch(string(source), -1)
			if i < len(where.files) && len(found) == 0 {
				t.Errorf("%s has no complaints", file)
			}
			for _, m := range found {
				var line string
				if _, err := fmt.Sscanf(m[1], "%q", &line); err != nil {
					t.Fatalf("%s: %v", m[1], err)
				}
				_, text, _ := strings.Cut(line, "] ")
				all = append(all, text)
				if i < len(where.files) && (strangerLine([]byte(line)) == "") == (causedHere[text] == "") {
					t.Errorf("%s of %s: there has to be either a kind or a reason for none", line, file)
				}
			}
			for m := range strings.SplitSeq(string(source), `Errorf("`) { // of labels
				text, _, _ := strings.Cut(m, `"`)
				all = append(all, "memberlist: "+text)
			}
		}
	}
	for _, kind := range memberLines {
		if _, word, _ := strings.Cut(kind, ": "); !strings.Contains(sources, word) {
			t.Errorf("the sources have no %q", word)
		}
	}
	for _, kind := range strangerLines {
		if !strings.Contains("\n"+strings.Join(all, "\n"), "\n"+kind) {
			t.Errorf("no line begins with %q", kind)
		}
	}
}
