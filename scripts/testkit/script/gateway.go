package script

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/stub"
)

func (s *script) gateway(ts *testscript.TestScript, args []string) error {
	g, err := stub.NewGateway()
	if err != nil {
		return err
	}
	s.gateways[args[0]] = g
	ts.Setenv(args[0], g.URL())
	return nil
}

// named finds a gateway that was started.
func (s *script) named(name string) (*stub.Gateway, error) {
	g := s.gateways[name]
	if g == nil {
		return nil, fmt.Errorf("there is no gateway %s", name)
	}
	return g, nil
}

func (s *script) answer(_ *testscript.TestScript, args []string) error {
	g, err := s.named(args[0])
	if err != nil {
		return err
	}
	switch args[1] {
	case "refuse":
		g.Refuse()
		return nil
	case "hang":
		return g.Hang()
	}
	status, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var header []string
	for _, kv := range args[2:] {
		k, v, _ := strings.Cut(kv, ":")
		header = append(header, k, v)
	}
	return g.Answer(status, header...)
}

func (s *script) posted(_ *testscript.TestScript, args []string) error {
	g, err := s.named(args[0])
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	testkit.Poll(func() bool { return len(g.Taken()) >= want })
	dir := filepath.Join(s.dir, args[0])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	taken := g.Taken()
	for i, p := range taken {
		var head strings.Builder
		fmt.Fprintln(&head, p.Path)
		for _, k := range slices.Sorted(maps.Keys(p.Header)) {
			fmt.Fprintf(&head, "%s: %s\n", k, strings.Join(p.Header[k], ", "))
		}
		file := filepath.Join(dir, strconv.Itoa(i+1))
		if err := os.WriteFile(file+".body", p.Body, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(file+".head", []byte(head.String()), 0o600); err != nil {
			return err
		}
	}
	if len(taken) != want {
		return fmt.Errorf("%s has taken %d events, want %d: %v", args[0], len(taken), want, taken)
	}
	return nil
}

func (s *script) tried(_ *testscript.TestScript, args []string) error {
	g, err := s.named(args[0])
	if err != nil {
		return err
	}
	status, want := 0, 0
	if _, err := fmt.Sscan(strings.Replace(args[1], "hang", "0", 1), &status); err != nil {
		return err
	}
	if _, err := fmt.Sscan(args[2], &want); err != nil {
		return err
	}
	if !testkit.Poll(func() bool { return len(g.Answered(status)) >= want }) {
		return fmt.Errorf("%s has answered %d events with %s, want %d", args[0], len(g.Answered(status)), args[1], want)
	}
	return nil
}
