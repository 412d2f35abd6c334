package days

import (
	"math/big"
	"strings"

	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// fraction is how many decimals are kept: as many as a reading's number may have.
const fraction = reading.MaxDigits

// number is a decimal times 10^fraction, or nothing.
type number struct {
	redact.Mark
	scaled *big.Int
}

func (n number) some() bool { return n.scaled != nil }

// parseNumber reads a canonical decimal (reading.Canonical); nothing where it is
// none.
func parseNumber(text string) number {
	digits, negative := strings.CutPrefix(text, "-")
	whole, decimals, point := strings.Cut(digits, ".")
	if whole == "" || point && decimals == "" || len(decimals) > fraction || len(whole) > maxNumber || strings.ContainsFunc(whole+decimals, notDigit) {
		return number{}
	}
	scaled, ok := new(big.Int).SetString(whole+decimals+strings.Repeat("0", fraction-len(decimals)), 10)
	if !ok {
		return number{}
	}
	if negative {
		scaled.Neg(scaled)
	}
	if n := (number{scaled: scaled}); n.text() == text { // one text for each number
		return n
	}
	return number{}
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

// text is the canonical decimal: no exponent, no redundant zeros.
func (n number) text() string { return plain(n.scaled, fraction) }

// plain writes scaled × 10^-places out.
func plain(scaled *big.Int, places int) string {
	sign := ""
	if scaled.Sign() < 0 {
		sign = "-"
	}
	digits := new(big.Int).Abs(scaled).String()
	if len(digits) <= places {
		digits = strings.Repeat("0", places+1-len(digits)) + digits
	}
	whole, decimals := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if decimals == "" {
		return sign + whole
	}
	return sign + whole + "." + decimals
}

const meanPlaces = 6

// mean is sum / count, rounded to meanPlaces decimals, half to even.
func mean(sum number, count int64) string {
	divisor := new(big.Int).Exp(big.NewInt(10), big.NewInt(fraction-meanPlaces), nil)
	divisor.Mul(divisor, big.NewInt(count))
	quotient, rest := new(big.Int).QuoRem(sum.scaled, divisor, new(big.Int)) // both towards zero, of the sum's sign
	twice := rest.Abs(rest).Lsh(rest, 1)
	if c := twice.Cmp(divisor); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(sum.scaled.Sign())))
	}
	return plain(quotient, meanPlaces)
}
