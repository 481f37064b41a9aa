package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

func TestKeyRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const first, second = "cGFzc3dvcmRwYXNzd29yZA==", "d29yZHBhc3N3b3JkcGFzcw=="
		ring := func() string {
			path := filepath.Join(t.TempDir(), "keyring")
			if err := os.WriteFile(path, []byte(`["`+first+`"]`), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		files := []string{ring(), ring()}
		a := start(t, func(o *config.Options) { o.KeyringFile = files[0] })
		b := start(t, func(o *config.Options) { o.KeyringFile = files[1] })
		c := start(t, func(o *config.Options) { o.EncryptKey = first })
		join(t, a, b, c)
		plain := start(t)
		if _, err := plain.Join([]string{a.GossipAddr()}, false); err == nil {
			t.Error("an agent without a key could join")
		}
		// Gossip may bring a question to a member too late. Then it is asked again.
		ask := func(do func() (*serf.KeyResponse, error)) (keys map[string]int) {
			t.Helper()
			testkit.WaitFor(t, "an answer of all", func() bool {
				resp, err := do()
				if resp.NumErr > 0 {
					t.Fatalf("%+v, %v", resp, err)
				}
				keys = resp.Keys
				return err == nil && resp.NumResp == 3
			})
			return keys
		}
		keys := func() map[string]int { t.Helper(); return ask(a.keys().ListKeys) }
		if diff := cmp.Diff(map[string]int{first: 3}, keys()); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		for _, step := range []struct {
			do   func(string) (*serf.KeyResponse, error)
			key  string
			want map[string]int
		}{
			{a.keys().InstallKey, second, map[string]int{first: 3, second: 3}},
			{b.keys().UseKey, second, map[string]int{first: 3, second: 3}},
			{c.keys().RemoveKey, first, map[string]int{second: 3}},
		} {
			ask(func() (*serf.KeyResponse, error) { return step.do(step.key) })
			if diff := cmp.Diff(step.want, keys()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if _, err := a.keys().RemoveKey(second); err == nil {
			t.Error("the key in use could be removed")
		}
		for _, f := range files {
			kept := compiled(t, options(func(o *config.Options) { o.KeyringFile = f })).Keys
			if len(kept) != 1 || string(kept[0]) != "wordpasswordpass" {
				t.Errorf("kept %q", kept)
			}
		}
		late := start(t, func(o *config.Options) { o.KeyringFile = files[0] })
		join(t, a, late, b, c)
	})
}

func TestTagsFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tags")
		other := start(t)
		n := start(t, func(o *config.Options) { o.TagsFile = path })
		join(t, other, n)
		if err := n.UpdateTags(map[string]string{"dc": "east", "old": "1"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.UpdateTags(map[string]string{"new": "2"}, []string{"old", "none"}); err != nil {
			t.Fatal(err)
		}
		if err := n.UpdateTags(map[string]string{"big": strings.Repeat("x", 600)}, nil); err == nil {
			t.Error("tags over serf's limit are taken")
		}
		want := map[string]string{"dc": "east", "new": "2"}
		testkit.WaitFor(t, "the other node to see the tags", func() bool {
			for _, m := range other.Members() {
				if m.Name == n.opts.NodeName {
					return cmp.Equal(m.Tags, want)
				}
			}
			return false
		})
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v, want mode 0600", info, err)
		}
		n.end(nil)
		if err := n.stopped(t); err != nil {
			t.Fatal(err)
		}
		again := start(t, func(o *config.Options) { o.TagsFile = path })
		if got := again.serf.LocalMember().Tags; !cmp.Equal(got, want) {
			t.Errorf("after a restart %v, want %v", got, want)
		}
	})
}
