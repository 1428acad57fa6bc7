//! Charts: numbers in, SVG out, and beside it the same numbers as a table. Nothing is styled here but by class, and no script has a
//! part in it. The drawing is stretched to whatever width there is, so its words stand around it, not in it.

use std::fmt::Write as _;

use domain::time::{DAY_MS, Instant};

/// A day's place is so wide in the drawing's own units, and the bar in it.
const DAY_WIDTH: usize = 10;
const BAR_WIDTH: usize = 8;
/// The drawing is so high in its own units.
const HEIGHT: i64 = 100;

/// A day, as people read it: `2026-06-01`.
pub fn day(day: i64) -> String {
    Instant::from_ms(day.saturating_mul(DAY_MS)).to_string().chars().take(10).collect()
}

/// Figures of some days, drawn as bars that stand on each other.
pub struct Chart {
    /// What they are.
    pub title: String,
    /// The first day, counted from 1970 in UTC.
    pub first_day: i64,
    /// One for each kind of figure, the lowest first; all of the same number of days.
    pub series: Vec<Series>,
    /// How a figure is written.
    pub written: Box<dyn Fn(i64) -> String + Send + Sync>,
}

/// One kind of figure.
pub struct Series {
    /// What it is called.
    pub name: &'static str,
    /// Each day's.
    pub values: Vec<i64>,
}

/// A row of the table beside a chart.
pub struct Numbers {
    /// The day.
    pub day: String,
    /// Each kind's figure, as it is written.
    pub values: Vec<String>,
}

impl Chart {
    /// What the top of the drawing stands for.
    pub fn top(&self) -> String {
        (self.written)(self.top_value())
    }

    /// The first day and the last.
    pub fn ends(&self) -> (String, String) {
        let days = i64::try_from(self.days()).unwrap_or(1);
        (day(self.first_day), day(self.first_day + days - 1))
    }

    /// All of one kind, as it is written.
    pub fn sum(&self, series: &Series) -> String {
        (self.written)(series.values.iter().sum())
    }

    /// The same numbers, the newest day first; days without any are left out.
    pub fn numbers(&self) -> Vec<Numbers> {
        let rows = (0..self.days()).rev().filter(|place| self.values(*place).any(|value| value != 0));
        rows.map(|place| Numbers {
            day: self.day_at(place),
            values: self.values(place).map(|value| (self.written)(value)).collect(),
        })
        .collect()
    }

    /// The drawing. What would go below nothing, as a day's earnings do after refunds, is not drawn; the table has it.
    pub fn svg(&self) -> String {
        let (days, top) = (self.days(), self.top_value());
        let width = days.max(1) * DAY_WIDTH;
        let mut svg = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<svg class=\"chart-drawing\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{}\"><title>{}</title>",
            escaped(&self.described()),
            escaped(&self.described())
        );
        for line in [0, HEIGHT / 2, HEIGHT] {
            let _ = write!(svg, "<path class=\"chart-line\" d=\"M0 {line}H{width}\"/>");
        }
        for place in 0..days {
            let x = place * DAY_WIDTH + (DAY_WIDTH - BAR_WIDTH) / 2;
            let mut below = 0;
            for (kind, value) in self.values(place).enumerate().filter(|(_, value)| *value > 0) {
                let (from, to) = (hundredths(below, top), hundredths(below + value, top));
                below += value;
                let (y, height) = (HEIGHT * 100 - to, to - from);
                let _ = write!(
                    svg,
                    "<rect class=\"chart-bar chart-bar-{}\" x=\"{x}\" y=\"{}\" width=\"{BAR_WIDTH}\" height=\"{}\"/>",
                    kind + 1,
                    decimal(y),
                    decimal(height)
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }

    /// What the drawing shows, for those who do not see it.
    fn described(&self) -> String {
        let (first, last) = self.ends();
        let sums: Vec<String> =
            self.series.iter().map(|series| format!("{} {}", series.name, self.sum(series))).collect();
        format!("{}, {first} to {last}: {}", self.title, sums.join(", "))
    }

    fn days(&self) -> usize {
        self.series.first().map_or(0, |series| series.values.len())
    }

    fn day_at(&self, place: usize) -> String {
        day(self.first_day + i64::try_from(place).unwrap_or(0))
    }

    fn values(&self, place: usize) -> impl Iterator<Item = i64> + '_ {
        self.series.iter().map(move |series| series.values.get(place).copied().unwrap_or(0))
    }

    /// A round number that no day exceeds.
    fn top_value(&self) -> i64 {
        let highest = (0..self.days()).map(|place| self.values(place).map(|value| value.max(0)).sum::<i64>()).max();
        round_up(highest.unwrap_or(0))
    }
}

/// The least of 1, 2, 5, 10, 20, 50, … that is not less; 1 of nothing.
fn round_up(value: i64) -> i64 {
    let mut power = 1_i64;
    loop {
        for step in [1, 2, 5] {
            let candidate = power.saturating_mul(step);
            if candidate >= value {
                return candidate;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A figure's height, in hundredths of the drawing's units.
fn hundredths(value: i64, top: i64) -> i64 {
    let scaled = i128::from(value) * i128::from(HEIGHT * 100) / i128::from(top.max(1));
    i64::try_from(scaled).unwrap_or(HEIGHT * 100)
}

fn decimal(hundredths: i64) -> String {
    match hundredths % 100 {
        0 => (hundredths / 100).to_string(),
        part => format!("{}.{part:02}", hundredths / 100),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn chart(title: &str, series: Vec<Series>) -> Chart {
        Chart { title: title.to_owned(), first_day: 20_605, series, written: Box::new(|value| value.to_string()) }
    }

    #[test]
    fn bars_stand_on_each_other_under_a_round_number() {
        let credited = Series { name: "credited", values: vec![3, 0, 1] };
        let other = Series { name: "not credited", values: vec![1, 0, 0] };
        let chart = chart("Conversions", vec![credited, other]);
        expect![[r#"<svg class="chart-drawing" viewBox="0 0 30 100" preserveAspectRatio="none" role="img" aria-label="Conversions, 2026-06-01 to 2026-06-03: credited 4, not credited 1"><title>Conversions, 2026-06-01 to 2026-06-03: credited 4, not credited 1</title><path class="chart-line" d="M0 0H30"/><path class="chart-line" d="M0 50H30"/><path class="chart-line" d="M0 100H30"/><rect class="chart-bar chart-bar-1" x="1" y="40" width="8" height="60"/><rect class="chart-bar chart-bar-2" x="1" y="20" width="8" height="20"/><rect class="chart-bar chart-bar-1" x="21" y="80" width="8" height="20"/></svg>"#]].assert_eq(&chart.svg());
        assert_eq!(chart.top(), "5");
        let rows: Vec<_> = chart.numbers().into_iter().map(|row| (row.day, row.values.join("/"))).collect();
        assert_eq!(rows, [("2026-06-03".into(), "1/0".into()), ("2026-06-01".into(), "3/1".to_owned())]);
    }

    #[test]
    fn nothing_less_than_nothing_and_very_much_are_drawn_within_the_drawing() {
        for values in [vec![0; 90], vec![-500; 7], vec![i64::MAX / 2, 1], Vec::new()] {
            let svg = chart("x", vec![Series { name: "y", values }]).svg();
            assert!(svg.ends_with("</svg>") && !svg.contains("=\"-"), "{svg}");
        }
    }

    #[test]
    fn what_somebody_wrote_is_text_in_a_drawing_too() {
        let svg = chart("<script>\"&", vec![Series { name: "y", values: vec![1] }]).svg();
        assert!(svg.contains("&lt;script&gt;&quot;&amp;") && !svg.contains("<script>"), "{svg}");
    }

    #[test]
    fn round_numbers_are_one_two_and_five() {
        let check = |value, expected| assert_eq!(round_up(value), expected, "{value}");
        check(0, 1);
        check(1, 1);
        check(3, 5);
        check(11, 20);
        check(99_999, 100_000);
    }
}
