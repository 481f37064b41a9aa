package template

import "fmt"

// Misfit is an event of which a template makes nothing that can be sent.
type Misfit struct{ problem string }

func (e *Misfit) Error() string { return e.problem }

func Misfitf(format string, args ...any) error { return &Misfit{fmt.Sprintf(format, args...)} }
