package membership

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
)

func TestCauses(t *testing.T) {
	one := func(s string) string { return "1 error occurred:\n\t* failed to join 10.0.0.1:7946: " + s + "\n\n" }
	for said, want := range map[string]string{
		one("dial tcp 10.0.0.1:7946: connect: connection refused"):                      "connection refused",
		one("No installed keys could decrypt the message"):                              "wrong key: it encrypts gossip with another",
		one("remote state is encrypted and encryption is not configured"):               "wrong key: it encrypts gossip, and this node has no key",
		one("remote error: encryption is configured but remote state is not encrypted"): "wrong key: ",
		one("dial tcp 10.0.0.1:7946: i/o timeout"):                                      "no answer in time",
		one("EOF"): "it closed the connection",
		"1 error occurred:\n\t* failed to resolve gw2: lookup gw2: no such host\n\n":                                                                                                    "no such host",
		"this agent announces serf protocol 5, which not every member understands: start it with -protocol=4: " + one("Node 'a' delegate protocol version (5) is incompatible: [2, 4]"): "protocol: this agent announces serf protocol 5, which not every member understands: start it with -protocol=4",
		one("something\x1b[1m new"): `failed to join 10.0.0.1:7946: something\x1b[1m new`,
	} {
		if got, _ := causeOf(errors.New(said)); !strings.HasPrefix(got, want) || len(got) > 300 || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
}

// The errors of several joins read as those of one.
func TestJoinErrorsReadAsMemberlists(t *testing.T) {
	one := func(s string) error { return errors.New("1 error occurred:\n\t* failed to join " + s + "\n\n") }
	testkit.Want(t, "two", joined([]error{one("a"), nil, one("b")}).Error(), "2 errors occurred:\n\t* failed to join a\n\t* failed to join b\n")
	testkit.Want(t, "one", joined([]error{nil, one("b")}).Error(), one("b").Error())
	testkit.Want(t, "the same", joined([]error{errRefused, errRefused}).Error(), "refused")
	testkit.Want(t, "none", joined(make([]error, 2)), nil)
}

// Each name has the error of its own last try; one that works has none.
func TestEachNameHasItsLastFailure(t *testing.T) {
	logger, _ := testkit.NewLog()
	answers := map[string]error{"a": errors.New("connection refused"), "b": errors.New("No installed keys could decrypt the message")}
	cfg := JoinerConfig{Logger: logger, Join: func(addrs []string, _ bool) (int, error) {
		if err := answers[addrs[0]]; err != nil {
			return 0, err
		}
		return 1, nil
	}}
	j := NewJoiner(cfg)
	try := func() { j.try(context.Background(), []string{"a", "b"}, false) }
	try()
	failures := j.Failures()
	if len(failures) != 2 || failures[0] != (JoinFailure{"a", "connection refused", true}) || failures[1].Name != "b" || !strings.HasPrefix(failures[1].Cause, "wrong key") {
		t.Errorf("%+v", failures)
	}
	answers["a"] = errors.New("no such host")
	delete(answers, "b")
	try()
	testkit.Want(t, "failures", j.Failures(), []JoinFailure{{"a", "no such host", true}})
}

// Nodes that start together find each other with one line at INFO. A wrong key is a
// warning at once, and others are one after a while.
func TestJoinsThatAreTooEarlyAreNoWarnings(t *testing.T) {
	for said, want := range map[string][]string{
		"connection refused":                          {"INFO at 0s", "WARN at 10s", "WARN at 21s"},
		"No installed keys could decrypt the message": {"WARN at 0s", "WARN at 1s", "WARN at 3s", "WARN at 7s", "WARN at 15s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			logger, log := testkit.NewLog()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cfg := JoinerConfig{Logger: logger, Retry: []string{"a"}, Interval: time.Second, MaxAttempts: 100,
				Members: func() []serf.Member { return nil }, Join: func([]string, bool) (int, error) { return 0, errors.New(said) }}
			j := NewJoiner(cfg)
			j.lookup = (&fakeJoiner{}).lookup
			if err := j.Run(ctx); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range regexp.MustCompile(`time=(\S+) level=(INFO|WARN) msg="joining failed`).FindAllStringSubmatch(log.String(), -1) {
				at, err := time.Parse(time.RFC3339Nano, m[1])
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s at %v", m[2], at.Sub(began).Round(time.Second)))
			}
			testkit.Want(t, said, got, want)
		})
	}
}
