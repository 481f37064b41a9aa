package membership

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
)

// lookAt has members looked at once a minute.
func lookAt(k *knownMembers, from time.Time, minutes int, members ...serf.Member) time.Time {
	for range minutes {
		from = from.Add(time.Minute)
		k.look(members, "self", from)
	}
	return from
}

func namesOf(list []knownMember) (names string) {
	for _, m := range list {
		names += m.Name + " "
	}
	return strings.TrimSpace(names)
}

// Lost is who failed, also when serf has forgotten it; not who left, who was
// removed by hand, or whose name or address another has.
func TestWhoIsLost(t *testing.T) {
	const a, b = "10.0.0.1:7946", "10.0.0.2:7946"
	alive, failed, left := serf.StatusAlive, serf.StatusFailed, serf.StatusLeft
	for name, tt := range map[string]struct {
		then []serf.Member // for as long as it says, after 10 minutes alive at a
		mins int
		last []serf.Member
		want string
	}{
		"alive":                          {[]serf.Member{member("n", a, alive)}, 5, []serf.Member{member("n", a, alive)}, ""},
		"failed":                         {[]serf.Member{member("n", a, failed)}, 5, []serf.Member{member("n", a, failed)}, "n"},
		"failed, forgotten":              {[]serf.Member{member("n", a, failed)}, 59, nil, "n"},
		"failed, removed by hand":        {[]serf.Member{member("n", a, failed)}, 30, nil, ""},
		"alive, removed by hand":         {[]serf.Member{member("n", a, alive)}, 30, nil, ""},
		"left":                           {[]serf.Member{member("n", a, left)}, 5, nil, ""},
		"failed, left by hand":           {[]serf.Member{member("n", a, failed)}, 5, []serf.Member{member("n", a, left)}, ""},
		"failed, back":                   {[]serf.Member{member("n", a, failed)}, 5, []serf.Member{member("n", a, alive)}, ""},
		"failed, another at its address": {[]serf.Member{member("n", a, failed)}, 5, []serf.Member{member("n", a, failed), member("m", a, alive)}, ""},
		"forgotten, back elsewhere":      {[]serf.Member{member("n", a, failed)}, 90, []serf.Member{member("n", b, alive)}, ""},
		"for too long":                   {[]serf.Member{member("n", a, failed)}, 31 * 24 * 60, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := openKnown("", time.Hour)
			now := lookAt(k, time.Now(), 10, member("self", b, alive), member("n", a, alive))
			now = lookAt(k, now, tt.mins, tt.then...)
			lookAt(k, now, 5, tt.last...)
			if got := namesOf(k.lost()); got != tt.want {
				t.Errorf("lost are %q, want %q", got, tt.want)
			}
		})
	}
}

// The next process looks for all who were members at the end of this one, and
// for whom this one had lost.
func TestKnownMembersAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), knownFile)
	k, err := openKnown(path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	m := []serf.Member{member("a", "10.0.0.1:7946", serf.StatusAlive), member("b", "10.0.0.2:7946", serf.StatusFailed)}
	now := lookAt(k, time.Now(), 1, m...)
	if err := k.keep(); err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(path)
	lookAt(k, now, 5, m...)
	if err := k.keep(); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.Stat(path); !again.ModTime().Equal(info.ModTime()) {
		t.Error("written again, and nothing had changed")
	}
	if k, err = openKnown(path, time.Hour); err != nil {
		t.Fatal(err)
	}
	lookAt(k, now, 1)
	if lost := k.lost(); namesOf(lost) != "a b" || lost[0].Addr != "10.0.0.1:7946" {
		t.Errorf("lost are %+v", lost)
	}
	// What cannot be read is left as it is.
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err = openKnown(path, time.Hour)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	lookAt(k, now, 1, m...)
	if err := k.keep(); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "{" {
		t.Errorf("the file is now %q", data)
	}
}

// Of very many lost ones, those are forgotten that were lost first. In a large cluster lost
// members are remembered, too, and nodes remember different ones.
func TestKnownMembersAreBounded(t *testing.T) {
	now := time.Now()
	of := func(name string, status serf.MemberStatus, from, to int) (all []serf.Member) {
		for i := from; i < to; i++ {
			all = append(all, member(fmt.Sprint(name, i), fmt.Sprintf("10.%d.%d.%d:1", status, i/256, i%256), status))
		}
		return all
	}
	lookBy := func(self string, k *knownMembers, members []serf.Member) {
		now = now.Add(time.Second)
		k.look(members, self, now)
	}
	k, _ := openKnown("", time.Hour)
	alive := of("alive", serf.StatusAlive, 0, 3*mostKnown)
	lookBy("self", k, alive)
	lookBy("self", k, append(of("failed", serf.StatusFailed, 0, 5), alive[5:]...))
	if lost := len(k.lost()); lost < 5 || len(k.byName) != mostKnown {
		t.Errorf("%d are lost; %d are remembered", lost, len(k.byName))
	}
	lookBy("self", k, append(of("failed", serf.StatusFailed, 0, 3*mostLost), alive...))
	if lost := len(k.lost()); lost != mostLost || len(k.byName) != mostKnown {
		t.Errorf("%d of many are lost; %d are remembered", lost, len(k.byName))
	}
	if k.byName["failed0"] != nil {
		t.Error("the first that was lost is not forgotten first")
	}
	lookBy("self", k, append(of("failed", serf.StatusFailed, 0, 3*mostKnown), alive[:5]...))
	if lost := len(k.lost()); lost != mostKnown-5 || len(k.byName) != mostKnown {
		t.Errorf("%d of nearly all are lost; %d are remembered", lost, len(k.byName))
	}

	names := map[string]bool{}
	for i := range 20 {
		k, _ := openKnown("", time.Hour)
		lookBy(fmt.Sprint("self", i), k, alive)
		for name := range k.byName {
			names[name] = true
		}
	}
	if len(names) < len(alive)*99/100 {
		t.Errorf("20 nodes together remember %d of %d", len(names), len(alive))
	}
}
