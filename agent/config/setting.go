package config

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Setting is one thing that can be configured: by a flag, a variable of the
// environment, and a key of a configuration file. One table of them serves
// all three and the help, so that no two disagree.
type Setting struct {
	Flag    string // "" where there is no flag, as in serf
	Key     string // in a configuration file; "" where there is none
	Arg     string // how the help calls the value
	Usage   string
	Repeat  bool // given again it adds a value
	secret  bool // never shown
	sep     string
	unset   bool // 0 is as if not given, and so is a number below it; as serf has it
	pointer func(*Options) any
}

// inverted is a flag whose truth makes its field false.
type inverted bool

// Env is the name of the variable: AGENTCTL_ and the flag's name, or the
// key's where there is no flag, in capitals.
func (s Setting) Env() string {
	name := s.Flag
	if name == "" {
		name = s.Key
	}
	return envPrefix + strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return unicode.ToUpper(r)
	}, name)
}

// Name is how messages call the setting.
func (s Setting) name() string {
	if s.Flag != "" {
		return "-" + s.Flag
	}
	return s.Key
}

// IsBool reports whether a flag may be given without a value.
func (s Setting) IsBool() bool {
	switch s.pointer(new(Options)).(type) {
	case *bool, *inverted:
		return true
	}
	return false
}

// Try returns the error with which package flag refuses a flag's value, as it does for
// serf: of a number, or of true and false, and of nothing else.
func (s Setting) Try(value string) error {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	switch s.pointer(new(Options)).(type) {
	case *bool, *inverted:
		fs.Bool("f", false, "")
	case *int:
		fs.Int("f", 0, "")
	default:
		return nil
	}
	return fs.Set("f", value)
}

// mayBeEmpty reports whether an empty value means that the setting is not given.
func (s Setting) mayBeEmpty() bool {
	switch s.pointer(new(Options)).(type) {
	case *string, *time.Duration:
		return true
	}
	return false
}

// set applies a flag's value to o. A setting that repeats adds to what is there.
func (s Setting) set(o *Options, value string) error {
	switch p := s.pointer(o).(type) {
	case *string:
		*p = value
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		*p = b
	case *inverted:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		*p = inverted(!b)
	case *int:
		n, err := strconv.ParseInt(value, 0, strconv.IntSize) // as package flag does for serf
		if err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
		if n > 0 || !s.unset {
			*p = int(n)
		}
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", value)
		}
		if d != 0 || !s.unset {
			*p = d
		}
	case *[]string:
		*p = append(*p, value)
	case *map[string]string:
		k, v, ok := strings.Cut(value, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q is not key=value", value)
		}
		if *p == nil {
			*p = map[string]string{}
		}
		(*p)[k] = v
	case *[]TargetOptions:
		return errors.New("targets can only be given in a configuration file")
	default:
		panic(fmt.Sprintf("setting %s has a field of type %T", s.name(), p))
	}
	return nil
}

// Default is the setting's value in o as the help shows it, "" where there is
// none to show.
func (s Setting) Default(o *Options) string {
	switch p := s.pointer(o).(type) {
	case *string:
		return *p
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		if *p {
			return "true"
		}
	case *inverted:
		if !*p {
			return "true"
		}
	case *time.Duration:
		if *p != 0 { // else serf's
			return strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(p.String())
		}
	}
	return ""
}

// setEnv applies the value of the setting's variable. Where the setting
// repeats, the values stand on lines of their own or, except for event
// handlers, between commas.
func (s Setting) setEnv(o *Options, value string) error {
	if !s.Repeat {
		return s.set(o, value)
	}
	for v := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("\n"+s.sep, r) }) {
		if err := s.set(o, strings.TrimSpace(v)); err != nil {
			return err
		}
	}
	return nil
}
