package reading

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonical(t *testing.T) {
	digits34 := strings.Repeat("1234567890", 3) + "1234"
	for literal, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "-0.000e-5": "0", "0e999999999": "0", "0e-99999999999999999999": "0", "0e10000000000000000000": "0",
		"50": "50", "50.0": "50", "5e1": "50", "5E+1": "50", "500e-1": "50", "0.5e2": "50",
		"-50.10": "-50.1", "0.001": "0.001", "1e-3": "0.001", "1.5e-3": "0.0015", "-12.34e1": "-123.4",
		"71.236548917": "71.236548917",
		digits34:       digits34, "-" + digits34 + ".0": "-" + digits34,
		"0." + digits34: "0." + digits34,
		"1e33":          "1" + strings.Repeat("0", 33),
		"1e-34":         "0." + strings.Repeat("0", 33) + "1",
		"0." + strings.Repeat("0", 100) + "1e100": "0.1",
	} {
		got, err := Canonical(literal)
		require.NoError(t, err, literal)
		require.Equal(t, want, got, literal)
	}
	for _, literal := range []string{
		"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e5", "0x1", "1_0", "NaN", "Infinity", "1 ", " 1", "--1", "1e1.0", "１", "0e20000000000000000000A", "0e+-1", "0e-", "0e",
		digits34 + "5", "0." + digits34 + "5", "1e34", "1e-35", digits34 + ".5",
		"1e999999999", "1e-999999999", "-1e99999999999999999999", "1e-99999999999999999999",
	} {
		_, err := Canonical(literal)
		require.ErrorIs(t, err, ErrNumber, literal)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"0", "-0.0", "50.0", "5e1", "1e-34", "12.340e+2", "1e999999999", "0e-9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		got, err := Canonical(literal)
		if !json.Valid([]byte(literal)) || strings.ContainsAny(literal, " \t\r\n") || strings.ContainsAny(literal[:1], `tfn"[{`) {
			require.ErrorIs(t, err, ErrNumber)
			return
		}
		if err != nil || len(literal) > 200 || strings.Contains(strings.ToLower(literal), "e") && len(literal) > 40 {
			return // big.Rat would take long
		}
		want, ok := new(big.Rat).SetString(literal)
		if !ok { // an exponent of more than 64 bits: only zero is taken with one
			require.Equal(t, "0", got)
			require.Empty(t, strings.Trim(strings.FieldsFunc(literal, func(r rune) bool { return r == 'e' || r == 'E' })[0], "-0."))
			return
		}
		back, ok := new(big.Rat).SetString(got)
		require.True(t, ok)
		require.Zero(t, want.Cmp(back), got)
		again, err := Canonical(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.LessOrEqual(t, len(strings.NewReplacer("-", "", ".", "").Replace(got)), MaxDigits+1)
	})
}

func object(members ...any) Value {
	var names []string
	var values []Value
	for i := 0; i < len(members); i += 2 {
		names = append(names, members[i].(string))
		values = append(values, members[i+1].(Value))
	}
	return ObjectValue(names, values)
}

func decimal(literal string) Value {
	v, err := NumberValue(literal)
	if err != nil {
		panic(err)
	}
	return v
}

func TestEqual(t *testing.T) {
	require.True(t, object("a", decimal("50.0"), "b", NullValue()).Equal(object("b", NullValue(), "a", decimal("5e1"))))
	different := []Value{
		NullValue(), BoolValue(true), BoolValue(false), decimal("1"), decimal("-1"), StringValue("1"), StringValue(""),
		StringValue("\u00e9"), StringValue("e\u0301"), ArrayValue(nil), ArrayValue([]Value{NullValue()}),
		ArrayValue([]Value{decimal("1"), decimal("2")}), ArrayValue([]Value{decimal("2"), decimal("1")}),
		object(), object("a", NullValue()), object("b", NullValue()), object("a", decimal("1")), object("a", decimal("1"), "b", NullValue()),
	}
	for i, a := range different {
		for j, b := range different {
			require.Equal(t, i == j, a.Equal(b), "%d %d", i, j)
		}
	}
}

func TestAt(t *testing.T) {
	v := object("a", object("b", decimal("7")))
	got, ok := v.At("a", "b")
	require.True(t, ok)
	require.Equal(t, "7", got.Text())
	_, ok = v.At("a", "c")
	require.False(t, ok)
	_, ok = v.At("a", "b", "c")
	require.False(t, ok)
}

func TestNothingPrintsValues(t *testing.T) {
	const canary = "71.236548917"
	v := object("a", decimal(canary))
	r := Reading{ID: canary, Point: v}
	number := &NumberError{Pointer: canary}
	for _, x := range []any{v, &v, r, &r, []Value{v}, map[string]Reading{"r": r}, number} {
		out := fmt.Sprintf("%v %+v %#v %s %q %x", x, x, x, x, x, x)
		text, err := json.Marshal(x)
		require.NoError(t, err)
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", x)
		require.NotContains(t, out+string(text)+log.String(), canary)
		require.NotContains(t, out, fmt.Sprintf("%x", canary))
	}
}
