//! `summarizeRecipe`: what a recipe's ingredients hold together, and per serving.
//!
//! Each ingredient's record says what a standard amount of it holds; the recipe says how much of it goes in. Amounts are
//! converted between units of mass, and between units of volume; where the two units have nothing in common (cups
//! of flour, and grams), the ingredient is left out, and `ingredientsProcessed` tells.

use serde_json::{Map, Value, json};

/// What is summed up: the fields that deployed summaries have.
const SUMMED: [&str; 6] = [
    "calories",
    "proteinG",
    "fatG",
    "cholesterolMg",
    "sodiumMg",
    "carbohydratesG",
];

/// The part of the ingredients that must be known for a sum to say anything, one in so many; and one at least.
const KNOWN_PART: usize = 4;

/// Units of mass, in grams.
const MASSES: [(&[&str], f64); 5] = [
    (&["g", "gram", "grams"], 1.0),
    (&["kg", "kilogram", "kilograms"], 1000.0),
    (&["mg", "milligram", "milligrams"], 0.001),
    (&["oz", "ounce", "ounces"], 28.349_523_125),
    (&["lb", "lbs", "pound", "pounds"], 453.592_37),
];

/// Units of volume, in millilitres; those of kitchens are the customary ones of the United States.
const VOLUMES: [(&[&str], f64); 8] = [
    (
        &[
            "ml",
            "milliliter",
            "milliliters",
            "millilitre",
            "millilitres",
        ],
        1.0,
    ),
    (&["l", "liter", "liters", "litre", "litres"], 1000.0),
    (&["tsp", "teaspoon", "teaspoons"], 4.928_921_593_75),
    (&["tbsp", "tablespoon", "tablespoons"], 14.786_764_781_25),
    (&["fl oz", "fluid ounce", "fluid ounces"], 29.573_529_562_5),
    (&["cup", "cups"], 236.588_236_5),
    (&["pint", "pints", "pt"], 473.176_473),
    (&["quart", "quarts", "qt"], 946.352_946),
];

/// Adds `summaryNutritionalInfo` and `summaryNutritionalInfoPerServing` to the data of a recipe whose ingredients
/// `find` knows. Other records, and recipes of which too little is known, stay as they are.
pub(super) fn summarize<'a>(record: &mut Value, find: impl Fn(&str) -> Option<&'a Value>) {
    let Some((sum, per_serving)) = record
        .pointer("/data/recipe")
        .and_then(|recipe| sums(recipe, find))
    else {
        return;
    };
    if let Some(data) = record.get_mut("data").and_then(Value::as_object_mut) {
        data.insert("summaryNutritionalInfo".to_owned(), sum);
        data.insert("summaryNutritionalInfoPerServing".to_owned(), per_serving);
    }
}

fn sums<'a>(recipe: &Value, find: impl Fn(&str) -> Option<&'a Value>) -> Option<(Value, Value)> {
    let ingredients = recipe.get("ingredient")?.as_array()?;
    let item = |name: &str, at: usize| recipe.get(name).and_then(|all| all.get(at));
    let mut totals = [0.0; SUMMED.len()];
    let mut known = 0;
    for (at, ingredient) in ingredients.iter().enumerate() {
        let facts = ingredient
            .as_str()
            .and_then(&find)
            .and_then(|record| record.pointer("/data/nutritionalInfo"));
        let amount = item("ingredient_amount", at).and_then(Value::as_f64);
        let unit = item("ingredient_unit", at).and_then(Value::as_str);
        let (Some(facts), Some(amount), Some(unit)) = (facts, amount, unit) else {
            continue;
        };
        let Some(portions) = portions(facts, amount, unit) else {
            continue;
        };
        known += 1;
        for (total, name) in totals.iter_mut().zip(SUMMED) {
            *total += portions * facts.get(name).and_then(Value::as_f64).unwrap_or_default();
        }
    }
    if known == 0 || known * KNOWN_PART < ingredients.len() {
        return None;
    }
    let servings = recipe.get("servings").and_then(Value::as_f64);
    let servings = servings.filter(|servings| *servings > 0.0).unwrap_or(1.0);
    let shown = |parts: f64| {
        let mut members = Map::new();
        for (total, name) in totals.iter().zip(SUMMED) {
            // A tenth is more than such tables are good for.
            members.insert(
                name.to_owned(),
                json!((total / parts * 10.0).round() / 10.0),
            );
        }
        members.insert("ingredientsProcessed".to_owned(), json!(known));
        members.insert("totalIngredients".to_owned(), json!(ingredients.len()));
        Value::Object(members)
    };
    Some((shown(1.0), shown(servings)))
}

/// How many standard amounts this much is.
fn portions(facts: &Value, amount: f64, unit: &str) -> Option<f64> {
    let standard = facts.get("standardAmount")?.as_f64()?;
    let standard_unit = facts.get("standardUnit")?.as_str()?;
    if !standard.is_normal() {
        return None;
    }
    let factor = match unit.trim().eq_ignore_ascii_case(standard_unit.trim()) {
        true => 1.0,
        false => [&MASSES[..], &VOLUMES[..]]
            .into_iter()
            .find_map(|units| Some(size(units, unit)? / size(units, standard_unit)?))?,
    };
    let portions = amount * factor / standard;
    portions.is_finite().then_some(portions)
}

fn size(units: &[(&[&str], f64)], unit: &str) -> Option<f64> {
    let unit = unit.trim().to_lowercase();
    let same = |(names, _): &&(&[&str], f64)| names.contains(&unit.as_str());
    units.iter().find(same).map(|(_, size)| *size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(did: &str) -> Option<&'static Value> {
        static BARLEY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(
            || json!({"data": {"nutritionalInfo": {"standardAmount": 100, "standardUnit": "g", "calories": 123, "proteinG": 2.3}}}),
        );
        static OIL: std::sync::LazyLock<Value> = std::sync::LazyLock::new(
            || json!({"data": {"nutritionalInfo": {"standardAmount": 1, "standardUnit": "tbsp", "calories": 119, "fatG": 13.5}}}),
        );
        match did {
            "barley" => Some(&BARLEY),
            "oil" => Some(&OIL),
            _ => None,
        }
    }

    fn summed(recipe: &Value) -> Value {
        let mut record = json!({ "data": {"recipe": recipe} });
        summarize(&mut record, known);
        record["data"].take()
    }

    #[test]
    fn amounts_are_converted_and_summed_and_divided() {
        let data = summed(&json!({
            "servings": 4, "ingredient": ["barley", "oil", "salt"],
            "ingredient_amount": [0.5, 2, 1], "ingredient_unit": ["KG", "tbsp", "pinch"]
        }));
        let sum = &data["summaryNutritionalInfo"];
        assert_eq!(sum["calories"], json!(853.0));
        assert_eq!(
            (&sum["proteinG"], &sum["fatG"]),
            (&json!(11.5), &json!(27.0))
        );
        assert_eq!(
            (&sum["ingredientsProcessed"], &sum["totalIngredients"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(
            data["summaryNutritionalInfoPerServing"]["calories"],
            json!(213.3)
        );
        let teaspoons = summed(
            &json!({"ingredient": ["oil"], "ingredient_amount": [3], "ingredient_unit": ["tsp"]}),
        );
        assert_eq!(
            teaspoons["summaryNutritionalInfo"]["calories"],
            json!(119.0)
        );
    }

    #[test]
    fn of_what_too_little_is_known_nothing_is_said() {
        for recipe in [
            json!({"ingredient": ["barley"], "ingredient_amount": [1], "ingredient_unit": ["cup"]}),
            json!({"ingredient": ["barley"], "ingredient_amount": ["1"], "ingredient_unit": ["g"]}),
            json!({"ingredient": ["barley", "a", "b", "c", "d"], "ingredient_amount": [1], "ingredient_unit": ["g"]}),
            json!({"ingredient": "barley"}),
            json!({"ingredient": []}),
            json!(7),
        ] {
            assert_eq!(summed(&recipe), json!({ "recipe": recipe }));
        }
    }
}
