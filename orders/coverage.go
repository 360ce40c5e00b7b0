package orders

import "fmt"

// RowNames names every row of the life cycle, as OnRow does, in the order of the table.
func RowNames() (names []string) {
	for _, s := range append([]Status{newborn}, Statuses...) {
		for i := range lifecycle[s] {
			names = append(names, rowName(s, i))
		}
	}
	return names
}

func rowName(s Status, i int) string {
	r := &lifecycle[s][i]
	from := string(s)
	if s == newborn {
		from = "nothing"
	}
	return fmt.Sprintf("%s/%d: %s by %s → %s", from, i+1, r.on, r.by, r.to)
}

// rowNames are found by the row, so that a run which nobody observes pays for none.
var rowNames = func() map[*row]string {
	names := map[*row]string{}
	for s, rows := range lifecycle {
		for i := range rows {
			names[&rows[i]] = rowName(s, i)
		}
	}
	return names
}()

// OnRow has fn hear of each row of the life cycle that an input takes, once it is committed; for tests and simulations
// that count what they have reached. It is to be called before the first input, and fn must be quick.
func (e *Engine) OnRow(fn func(name string)) { e.onRow = fn }
