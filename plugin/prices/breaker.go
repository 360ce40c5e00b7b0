package prices

import "time"

// breaker leaves a source alone that fails again and again. The zero value is a source in good health.
type breaker struct {
	failures int // in a row
	until    time.Time
}

// ready reports whether the source may be asked.
func (b *breaker) ready(now time.Time) bool { return !now.Before(b.until) }

func (b *breaker) success() { *b = breaker{} }

// failure counts one. From the limit on, each doubles the cooldown, up to most.
func (b *breaker) failure(now time.Time, limit int, cooldown, most time.Duration) {
	b.failures++
	if b.failures < limit {
		return
	}
	for range b.failures - limit {
		if cooldown *= 2; cooldown >= most {
			break
		}
	}
	b.until = now.Add(min(cooldown, most))
}
