package membership

import (
	"context"
	"errors"
	"strings"
	"testing"

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
		if got := causeOf(errors.New(said)); !strings.HasPrefix(got, want) || len(got) > 300 || strings.ContainsAny(got, "\n\x1b") {
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
	try := func() { j.try(context.Background(), []string{"a", "b"}) }
	try()
	failures := j.Failures()
	if len(failures) != 2 || failures[0] != (JoinFailure{"a", "connection refused"}) || failures[1].Name != "b" || !strings.HasPrefix(failures[1].Cause, "wrong key") {
		t.Errorf("%+v", failures)
	}
	answers["a"] = errors.New("no such host")
	delete(answers, "b")
	try()
	testkit.Want(t, "failures", j.Failures(), []JoinFailure{{"a", "no such host"}})
}
