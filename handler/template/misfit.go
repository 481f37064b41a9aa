package template

import "fmt"

// Misfit is the error of an event from which a template cannot make a text to be
// sent. The same event fails each time, so there is no use in another attempt.
type Misfit struct{ problem string }

func (e *Misfit) Error() string { return e.problem }

// Misfitf makes a *Misfit as fmt.Errorf makes an error. The text is shown to
// operators, so values of the event in it have to be quoted and cut.
func Misfitf(format string, args ...any) error { return &Misfit{fmt.Sprintf(format, args...)} }
